// esl: rings a phone, sends it to a program of its own, which takes the call over and ends it.
// Arguments: host port password own-port.
const { FreeSwitchClient, FreeSwitchServer } = require('esl');
const { randomUUID } = require('crypto');
const [host, port, password, own] = process.argv.slice(2);
const fail = (why) => { console.log('FAILED', why); process.exit(1); };
setTimeout(() => fail('nothing within 20 s'), 20000);
const logger = { debug: () => {}, info: () => {}, error: (text, more) => console.log('ERROR', text, more) };
const leg = randomUUID();
let taken;

const server = new FreeSwitchServer({ logger });
server.on('connection', async (call, { uuid }) => {
  try {
    await call.command('set', 'taken=yes', 5000);
    taken = uuid;
    await call.hangup('CALL_REJECTED');
  } catch (error) { fail(error); }
});

const client = new FreeSwitchClient({ host, port: Number(port), password, logger });
client.on('connect', async (link) => {
  try {
    await link.event_json('CHANNEL_HANGUP_COMPLETE');
    link.on('CHANNEL_HANGUP_COMPLETE', ({ body }) => {
      if (body['Unique-ID'] !== leg) fail('an event past the filter');
      if (body['Hangup-Cause'] !== 'CALL_REJECTED' || body.variable_taken !== 'yes' || taken !== leg) fail(JSON.stringify(body));
      console.log('DONE');
      process.exit(0);
    });
    const rung = await link.bgapi(`originate {origination_uuid=${leg}}user/1000 &park()`, 15000);
    if (rung.body._body !== `+OK ${leg}\n`) fail(JSON.stringify(rung.body));
    await link.filter('Unique-ID', leg);
    const moved = await link.api(`uuid_transfer ${leg} 77${own}`, 5000);
    if (!moved.body.startsWith('+OK')) fail(moved.body);
  } catch (error) { fail(error); }
});
client.on('error', fail);
server.listen({ host: '127.0.0.1', port: Number(own) }).then(() => client.connect(), fail);
