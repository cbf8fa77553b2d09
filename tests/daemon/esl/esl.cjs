// esl: logs in, runs commands in front and behind; and a program that takes a call over, answers it, and lets go.
// Arguments: host port password [the program's port].
const { FreeSwitchClient, FreeSwitchServer } = require('esl');
const [host, port, password, own] = process.argv.slice(2);
const fail = (why) => { console.log('FAILED', why); process.exit(1); };
setTimeout(() => fail('nothing within 20 s'), 20000);
const logger = () => {};
const quiet = { debug: logger, info: logger, error: (text, more) => console.log('ERROR', text, more) };

async function program() {
  const server = new FreeSwitchServer({ logger: quiet });
  server.on('connection', async (call, { uuid, data }) => {
    try {
      if (data['Unique-ID'] !== uuid || data['Channel-State'] === undefined) fail('connect');
      await call.command_uuid(uuid, 'answer', undefined, 2000);
      await call.command_uuid(uuid, 'set', 'taken=yes', 2000);
      console.log('TAKEN', uuid);
      await call.exit();
    } catch (error) { fail(error); }
  });
  await server.listen({ host: '127.0.0.1', port: Number(own) });
  console.log('LISTENING');
}

const client = new FreeSwitchClient({ host, port: Number(port), password, logger: quiet });
client.on('connect', async (link) => {
  try {
    const status = await link.api('status', 2000);
    if (!status.body.includes('session(s) since startup')) fail('status');
    const job = await link.bgapi('echo from the background', 2000);
    if (job.body._body !== 'from the background') fail(JSON.stringify(job.body));
    const version = await link.api('nosuchapi', 2000).then(() => 'answered', () => 'refused');
    if (version !== 'refused') fail('an unknown command is an error');
    client.end();
    if (own) await program(); else { console.log('DONE'); process.exit(0); }
  } catch (error) { fail(error); }
});
client.on('error', (error) => fail(error));
client.connect();
