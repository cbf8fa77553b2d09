# greenswitch: rings a phone, sends it to a program of its own, which takes the call over and ends it.
# Arguments: host port password own-port.
import sys
import uuid
import gevent
import greenswitch

host, port, password, own = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
leg = str(uuid.uuid4())
taken = []


class Program(object):
    def __init__(self, session):
        self.session = session

    def run(self):
        self.session.myevents()
        self.session.linger()
        done = self.session.call_command('set', 'taken=yes', block=True, response_timeout=10)
        taken.append((self.session.uuid, done.headers['Application']))
        self.session.hangup('CALL_REJECTED')


server = greenswitch.OutboundESLServer('127.0.0.1', own, Program)
gevent.spawn(server.listen)
client = greenswitch.InboundESL(host=host, port=port, password=password)
client.connect()
heard = []
client.register_handle('*', lambda event: heard.append(event.headers))


def hear(name, **more):
    fits = lambda e: e.get('Event-Name') == name and all(e.get(k.replace('_', '-')) == v for k, v in more.items())
    for _ in range(150):
        found = [event for event in list(heard) if fits(event)]
        if found:
            return found[0]
        gevent.sleep(0.1)
    raise AssertionError((name, more, [(e.get('Event-Name'), e.get('Unique-ID')) for e in heard]))


assert client.send('api nosuchapi').data.startswith('-ERR'), 'an unknown command is an error'
client.send('events plain ALL')
job = client.send('bgapi originate {origination_uuid=%s}user/1000 &park()' % leg)
hear('BACKGROUND_JOB', Job_UUID=job.headers['Job-UUID'])
hear('CHANNEL_PARK', Unique_ID=leg)
said = client.send('api uuid_transfer %s 77%d' % (leg, own)).data
assert said.startswith('+OK'), said
end = hear('CHANNEL_HANGUP_COMPLETE', Unique_ID=leg)
assert end['Hangup-Cause'] == 'CALL_REJECTED', end
assert end['variable_taken'] == 'yes', end
assert taken == [(leg, 'set')], taken
client.send('exit')
print('DONE', flush=True)
gevent.get_hub().destroy(destroy_loop=True)
