# libesl, FreeSWITCH's own library, through its Python module: logs in, runs commands, hears events, rings a phone, sends it
# to a program of its own, which takes the call over and ends it. Arguments: host port password own-port.
import socket
import sys
import threading
import uuid
import ESL

host, port, password, own = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
leg = str(uuid.uuid4())
taken = []
listener = socket.create_server(('127.0.0.1', own))


def program():
    taker, _ = listener.accept()
    call = ESL.ESLconnection(taker.detach())
    about = call.getInfo()
    call.events('plain', 'CHANNEL_EXECUTE_COMPLETE')
    call.execute('set', 'taken=yes')
    while call.connected():
        event = call.recvEventTimed(10000)
        if event is None or event.getHeader('Application') == 'set':
            break
    taken.append((about.getHeader('Unique-ID'), event and event.getHeader('Application-Data')))
    call.execute('hangup', 'CALL_REJECTED')
    call.disconnect()


thread = threading.Thread(target=program, daemon=True)
thread.start()

assert not ESL.ESLconnection(host, port, 'wrong').connected(), 'a wrong password is refused'
client = ESL.ESLconnection(host, port, password)
assert client.connected()
assert 'session(s) since startup' in client.api('status').getBody()
assert client.api('nosuchapi').getBody().startswith('-ERR'), 'an unknown command is an error'
client.events('plain', 'ALL')
seen = []


def hear(name, **more):
    for _ in range(2000):
        event = client.recvEventTimed(15000)
        assert event is not None, (name, more, seen)
        seen.append(event.getHeader('Event-Name'))
        if event.getHeader('Event-Name') == name and all(
                event.getHeader(k.replace('_', '-')) == v for k, v in more.items()):
            return event
    raise AssertionError((name, more, seen))


own_event = ESL.ESLevent('CUSTOM', 'my::own')
own_event.addHeader('X-One', 'a b/c%d')
own_event.addBody('hello')
client.sendEvent(own_event)
back = hear('CUSTOM', Event_Subclass='my::own')
assert (back.getHeader('X-One'), back.getBody()) == ('a b/c%d', 'hello'), back.serialize()
mine = str(uuid.uuid4())
reply = client.bgapi('originate', '{origination_uuid=%s}user/1000 &park()' % leg, mine)
assert reply.getHeader('Job-UUID') == mine, reply.serialize()
hear('CHANNEL_ANSWER', Unique_ID=leg)
client.api('uuid_getvar', leg + ' no_such')
job = hear('BACKGROUND_JOB', Job_UUID=mine)
assert job.getBody() == '+OK %s\n' % leg, job.getBody()
said = client.api('uuid_transfer', '%s 77%d' % (leg, own)).getBody()
assert said.startswith('+OK'), said
end = hear('CHANNEL_HANGUP_COMPLETE', Unique_ID=leg)
assert end.getHeader('Hangup-Cause') == 'CALL_REJECTED', end.serialize()
assert end.getHeader('variable_taken') == 'yes', end.serialize()
thread.join(10)
assert taken == [(leg, 'taken=yes')], taken
client.disconnect()
print('DONE', flush=True)
