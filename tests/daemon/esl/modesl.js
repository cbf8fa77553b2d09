// modesl: logs in, runs commands in front and behind, hears an event of its own. Arguments: host port password.
const { Connection, Event } = require('modesl');
const [host, port, password] = process.argv.slice(2);
const fail = (why) => { console.log('FAILED', why); process.exit(1); };
setTimeout(() => fail('nothing within 20 s'), 20000);
const link = new Connection(host, Number(port), password, () => {
  link.api('status', (answer) => {
    if (!answer.getBody().includes('session(s) since startup')) fail(answer.getBody());
    link.bgapi('echo from the background', (job) => {
      if (job.getBody() !== 'from the background') fail(job.getBody());
      link.subscribe(['CUSTOM', 'my::own']);
      link.on('esl::event::CUSTOM::*', (event) => {
        if (event.getHeader('X-One') !== 'a b/c%d' || event.getBody() !== 'hello') fail(event.serialize());
        link.disconnect();
        console.log('DONE');
        process.exit(0);
      });
      setTimeout(() => {
        const event = new Event('CUSTOM', 'my::own');
        event.addHeader('X-One', 'a b/c%d');
        event.addBody('hello');
        link.sendEvent(event);
      }, 300);
    });
  });
});
link.on('error', (error) => fail(error));
