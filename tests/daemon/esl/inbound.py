# greenswitch: logs in, runs a command, hears events, ends a call that rings. Arguments: host port password number.
import sys
import gevent
import greenswitch

host, port, password = sys.argv[1], int(sys.argv[2]), sys.argv[3]
client = greenswitch.InboundESL(host=host, port=port, password=password)
client.connect()
heard = []
client.register_handle('*', lambda event: heard.append(event.headers.get('Event-Name')))
status = client.send('api status')
assert 'session(s) since startup' in status.data, status.data
assert client.send('events plain ALL').headers['Reply-Text'] == '+OK event listener enabled plain'
job = client.send('bgapi echo from the background')
uuid = job.headers['Job-UUID']
assert job.headers['Reply-Text'] == '+OK Job-UUID: ' + uuid, job.headers
for _ in range(50):
    if 'BACKGROUND_JOB' in heard:
        break
    gevent.sleep(0.1)
assert 'BACKGROUND_JOB' in heard, heard
print('LISTENING', flush=True)
for _ in range(200):
    if 'CHANNEL_HANGUP_COMPLETE' in heard:
        break
    gevent.sleep(0.1)
for name in ['CHANNEL_CREATE', 'CHANNEL_ANSWER', 'CHANNEL_EXECUTE', 'CHANNEL_HANGUP_COMPLETE']:
    assert name in heard, (name, heard)
client.send('exit')
print('DONE', flush=True)
gevent.get_hub().destroy(destroy_loop=True)
