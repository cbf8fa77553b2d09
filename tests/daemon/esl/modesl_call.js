// modesl: rings a phone, sends it to a program of its own, which takes the call over and ends it.
// Arguments: host port password own-port.
const { Connection, Server } = require('modesl');
const { randomUUID } = require('crypto');
const [host, port, password, own] = process.argv.slice(2);
const fail = (why) => { console.log('FAILED', why); process.exit(1); };
setTimeout(() => fail('nothing within 20 s'), 20000);
const leg = randomUUID();
let taken;
const server = new Server({ host: '127.0.0.1', port: Number(own), myevents: true }, () => {
  const link = new Connection(host, Number(port), password, () => {
    link.on('esl::event::CHANNEL_HANGUP_COMPLETE::' + leg, (event) => {
      const [cause, variable] = [event.getHeader('Hangup-Cause'), event.getHeader('variable_taken')];
      if (cause !== 'CALL_REJECTED' || variable !== 'yes' || taken !== leg) fail([cause, variable, taken]);
      link.disconnect();
      console.log('DONE');
      process.exit(0);
    });
    link.subscribe(['CHANNEL_ANSWER', 'CHANNEL_HANGUP_COMPLETE', 'BACKGROUND_JOB'], () => {
      link.bgapi('originate', `{origination_uuid=${leg}}user/1000 &park()`, (job) => {
        if (job.getBody() !== `+OK ${leg}\n`) fail(job.getBody());
        link.api('uuid_transfer', [leg, '77' + own], (answer) => {
          if (!answer.getBody().startsWith('+OK')) fail(answer.getBody());
        });
      });
    });
  });
  link.on('error', fail);
});
server.on('connection::ready', (call) => {
  call.execute('set', 'taken=yes', () => {
    taken = call.getInfo().getHeader('Unique-ID');
    call.execute('hangup', 'CALL_REJECTED');
  });
});
