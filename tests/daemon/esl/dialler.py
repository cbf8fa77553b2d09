# A dialler: calls customers at a rate, joins whoever answers with the next free agent, sends some elsewhere, hangs up, and
# knows at the end what became of each. All it knows comes from events; all it does are commands.
# Arguments: host port password rate; then agent:USER, and KIND:PORT:COUNT of customers (answers, busy, rejects, silent).
import sys
import time
import uuid
import gevent
from gevent.queue import Empty, Queue
import greenswitch

host, port, password, rate = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
SAID = {'busy': '-ERR USER_BUSY', 'rejects': '-ERR CALL_REJECTED', 'silent': '-ERR NO_ANSWER'}
CAUSE = {'busy': 'USER_BUSY', 'rejects': 'CALL_REJECTED', 'silent': 'NO_ANSWER', 'answers': 'NORMAL_CLEARING'}
TALK = 0.4  # seconds

agents, groups = {}, []  # uuid -> user; lists of customers of one kind
for argument in sys.argv[5:]:
    kind, where, *count = argument.split(':')
    if kind == 'agent':
        agents[str(uuid.uuid4())] = where
    else:
        groups.append([(str(uuid.uuid4()), kind, where) for _ in range(int(count[0]))])
customers = {}  # uuid -> (kind, port), one of each group in turn
while any(groups):
    for group in groups:
        if group:
            call, kind, where = group.pop()
            customers[call] = (kind, where)

client = greenswitch.InboundESL(host=host, port=port, password=password)
client.connect()
events = Queue()
client.register_handle('*', lambda event: events.put(event.headers))
assert client.send('events plain ALL').headers['Reply-Text'] == '+OK event listener enabled plain'

jobs = {}        # Job-UUID -> call
answers = {}     # call -> what its job said
causes = {}      # call -> Hangup-Cause
sequence = []    # of every event
waiting, free, talking = [], [], {}  # customers; agents; customer -> agent
bridged, moved, woken = {}, set(), set()
begun = None


def api(line):
    return client.send('api ' + line).data


def dial(call, target, more=''):
    reply = client.send('bgapi originate {origination_uuid=%s%s}%s &park()' % (call, more, target))
    jobs[reply.headers['Job-UUID']] = call


def finish(customer):
    # Every third goes on alone, to a number that answers with what it hears.
    if len(bridged) % 3 == 0 and customer not in moved:
        moved.add(customer)
        assert api('uuid_transfer %s 9196' % customer) == '+OK\n'
        gevent.spawn_later(TALK, finish, customer)
    else:
        assert api('uuid_kill %s' % customer) == '+OK\n', customer


def assign():
    while waiting and free:
        customer, agent = waiting.pop(0), free.pop(0)
        said = api('uuid_bridge %s %s' % (customer, agent))
        assert said == '+OK %s\n' % agent, (customer, said)
        talking[customer] = agent


def hear(event):
    name, call = event['Event-Name'], event.get('Unique-ID')
    sequence.append(int(event['Event-Sequence']))
    if name == 'BACKGROUND_JOB':
        # The client puts a body behind the header before it.
        answers[jobs[event['Job-UUID']]] = event['Content-Length'].split('\n', 1)[1].strip()
    elif name == 'CHANNEL_ANSWER' and call in customers:
        waiting.append(call)
    elif name == 'CHANNEL_PARK' and call in agents:
        assert call not in free
        free.append(call)
    elif name == 'CHANNEL_BRIDGE' and call in customers:
        assert event['Other-Leg-Unique-ID'] == talking[call], event
        bridged[call] = talking[call]
        gevent.spawn_later(TALK, finish, call)
    elif name == 'CHANNEL_HANGUP_COMPLETE':
        assert call not in causes, call
        causes[call] = event['Hangup-Cause']
    assign()


def until(what, done, seconds=60):
    end = time.time() + seconds
    while not done():
        assert time.time() < end, (what, len(answers), len(causes), len(bridged), len(free), len(waiting))
        try:
            hear(events.get(timeout=0.2))
        except Empty:
            pass


for agent, user in agents.items():
    dial(agent, 'user/' + user, ',park_after_bridge=true,hangup_after_bridge=false')
until('agents are there', lambda: len(free) == len(agents))
begun = time.time()


def dial_all():
    for n, (call, (kind, where)) in enumerate(customers.items()):
        gevent.sleep(max(0, begun + n / rate - time.time()))
        dial(call, 'sofia/internal/%s@127.0.0.1:%s' % (kind, where), ',originate_timeout=3,ignore_early_media=true')


dialling = gevent.spawn(dial_all)
until('all calls are over', lambda: dialling.ready() and all(c in causes for c in customers))
dialling.get()
took = time.time() - begun
until('all jobs have answered', lambda: len(answers) == len(customers) + len(agents), 10)
for agent in agents:
    assert api('uuid_kill ' + agent) == '+OK\n'
until('agents have gone', lambda: all(a in causes for a in agents), 10)

for call, (kind, _) in customers.items():
    assert answers[call] == SAID.get(kind, '+OK ' + call), (kind, answers[call])
    assert causes[call] == CAUSE[kind], (kind, causes[call])
    assert (call in bridged) == (kind == 'answers'), kind
assert all(answers[agent] == '+OK ' + agent for agent in agents), answers
assert set(bridged.values()) == set(agents), 'every agent has talked'
assert sequence == list(range(sequence[0], sequence[0] + len(sequence))), 'an event is missing, or out of order'
assert api('show channels count') == '\n0 total.\n'
client.stop()
print('DONE %d customers in %.1f s, %d bridged, %d moved, %d events' %
      (len(customers), took, len(bridged), len(moved), len(sequence)), flush=True)
gevent.get_hub().destroy(destroy_loop=True)
