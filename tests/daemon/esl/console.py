# The console `tandem cli` on a terminal of its own, as a person uses it. Arguments: what to do, then the console's command line.
# Says a line for each step; the last is DONE.
import os
import pty
import select
import sys
import time

what, command = sys.argv[1], sys.argv[2:]
KEYS = ['\x1bOP', '\x1bOQ', '\x1bOR', '\x1bOS', '\x1b[15~', '\x1b[17~', '\x1b[18~', '\x1b[19~', '\x1b[20~', '\x1b[21~',
        '\x1b[23~', '\x1b[24~']


class Console(object):
    def __init__(self, more=()):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ['TERM'] = 'xterm-256color'
            os.execv(command[0], command + list(more))
        self.heard = ''
        self.expect('/exit leaves')
        self.expect('> ')

    # Everything is typed in one clump.
    def type(self, text):
        os.write(self.terminal, text.encode())

    def read(self, seconds):
        if not select.select([self.terminal], [], [], seconds)[0]:
            return False
        try:
            part = os.read(self.terminal, 65536)
        except OSError:
            part = b''
        self.heard += part.decode('utf8', 'replace')
        return bool(part)

    # What comes, up to this and without it.
    def expect(self, text):
        until = time.time() + 15
        while text not in self.heard:
            if time.time() > until or not self.read(0.5) and not self.alive():
                print('FAILED', repr(text), 'does not come, but', repr(self.heard[-1500:]), flush=True)
                sys.exit(1)
        before, self.heard = self.heard.split(text, 1)
        return before

    # Types that, and waits for the answer; a whole line, for the next prompt, too: before it the terminal is nobody's.
    def ask(self, text, answer):
        self.type(text)
        said = self.expect(answer)
        if not text.endswith(('\t', '\x1b[A')):
            self.expect('tandem@')
            self.expect('> ')
        print('ok', repr(text), flush=True)
        return said

    def alive(self):
        if getattr(self, 'status', None) is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is None

    def ends(self):
        until = time.time() + 10
        while self.alive() and time.time() < until:
            self.read(0.1)
        if self.alive() or self.status != 0:
            print('FAILED', 'it does not end, or badly', flush=True)
            sys.exit(1)


def day():
    c = Console()
    c.ask('status\r', 'session(s) since startup')
    c.ask('show chan\t', 'show channels ')
    c.ask('\r', '0 total')
    # the function keys, and what is half typed stays
    for key, answer in zip(KEYS, ['console_complete', 'since startup', '0 total', '0 total', 'internal', 'Success',
                                  'log level 0 [0]', 'log level debug', 'RTP-IP', '+OK', '+OK', 'bound to this']):
        c.ask(key, answer)
    c.type('echo half')
    c.ask(KEYS[1], 'since startup')
    c.ask(' typed\r', '\nhalf typed')
    # events, filters, the log and its colours
    c.ask('/event plain ALL\r', 'event listener enabled')
    c.ask('version short\r', 'RECV EVENT')
    c.ask('/filter Event-Name HEARTBEAT\r', 'filter added')
    c.ask('/filter delete Event-Name\r', 'filter deleted')
    c.ask('/nixevent API\r', '+OK')
    c.ask('/noevents\r', 'no longer listening')
    c.ask('/log debug\r', 'log level debug')
    c.ask('log err something is wrong\r', 'something is wrong\x1b[0m')
    c.ask('/logfilter right\r', 'Logfilter enabled')
    said = c.ask('log err again wrong\r', '+OK') + c.ask('log err this is right\r', 'this is right\x1b[0m')
    if 'again wrong\x1b[0m' in said or '\x1b[31m' not in said:
        print('FAILED', 'the filter lets through what it must not, or without its colour', flush=True)
        sys.exit(1)
    c.ask('/logfilter\r', 'Logfilter disabled')
    c.ask('/uuid nobody\r', 'UUID filtering enabled')
    c.ask('/uuid\r', 'UUID filtering disabled')
    c.ask('/nolog\r', 'no longer logging')
    c.ask('/help\r', 'Filter Log for a single string')
    c.ask('/nonsense\r', 'Unknown command [nonsense]')
    # uuids are completed, too
    c.ask('originate {origination_uuid=abcdef00-1111-4000-8000-000000000000}null/x &park()\r', '+OK abcdef00')
    c.ask('uuid_exists abc\t', 'uuid_exists abcdef00-1111-4000-8000-000000000000')
    c.ask('\r', 'true')
    c.ask('uuid_kill abcd\t\r', '+OK')
    c.ask('\x03', 'Type control-D')
    c.ask('echo remembered\r', '\nremembered')
    c.type('...\r')
    c.ends()
    # lines are remembered, and by nobody else
    c = Console()
    c.ask('\x1b[A\x1b[A', 'echo remembered')
    c.ask('\r', '\nremembered')
    c.type('\x04')
    c.ends()
    mode = os.stat(os.path.join(os.environ['HOME'], '.tandem_history')).st_mode & 0o777
    if mode != 0o600:
        print('FAILED', 'the history is open to', oct(mode), flush=True)
        sys.exit(1)
    c = Console(['-i', '-q'])
    c.type('\x03')
    c.ends()


def lost():
    c = Console(['-R'])
    print('CONNECTED', flush=True)
    c.expect('Connected again.')
    c.ask('status\r', 'since startup')
    c.type('/quit\r')
    c.ends()


{'day': day, 'lost': lost}[what]()
print('DONE', flush=True)
