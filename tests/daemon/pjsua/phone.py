"""A phone of PJSIP's without a sound card: commands by line in, events by line out.

phone.py USER PASSWORD HOST:PORT udp|tcp LOCAL_PORT TONE.wav FOLDER

It plays TONE.wav into every call and records what it hears to FOLDER/heard-N.wav, N being the call's number from 0.
"""

import queue
import sys
import threading

import pjsua2 as pj

USER, PASSWORD, SWITCH, TRANSPORT, PORT, TONE, FOLDER = sys.argv[1:8]
HOST = SWITCH.rsplit(":", 1)[0]
calls = []


def say(*words):
    print(*words, flush=True)


class Call(pj.Call):
    def __init__(self, account, id=pj.PJSUA_INVALID_ID):
        super().__init__(account, id)
        self.number = len(calls)
        self.recorder = None
        calls.append(self)

    def onCallState(self, prm):
        info = self.getInfo()
        say("CALL", self.number, info.stateText, info.lastStatusCode)
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.recorder = None  # closes the file

    def onCallMediaState(self, prm):
        info = self.getInfo()  # owns its parts
        for index, media in enumerate(info.media):
            active = media.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD)
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            say("MEDIA", self.number, media.status)
            if not active:
                continue
            audio = self.getAudioMedia(index)
            if self.recorder is None:
                self.recorder = pj.AudioMediaRecorder()
                self.recorder.createRecorder(f"{FOLDER}/heard-{self.number}.wav")
            tone.startTransmit(audio)
            audio.startTransmit(self.recorder)

    def onCallTransferStatus(self, prm):
        say("TRANSFER", self.number, prm.statusCode, int(prm.finalNotify))

    def onCallReplaced(self, prm):
        say("REPLACED", self.number)

    def onDtmfDigit(self, prm):
        say("DIGIT", self.number, prm.digit, prm.method)


class Account(pj.Account):
    def onRegState(self, prm):
        say("REGISTRATION", prm.code, prm.expiration)

    def onIncomingCall(self, prm):
        call = Call(self, prm.callId)
        say("INCOMING", call.number, call.getInfo().remoteUri)
        ringing = pj.CallOpParam()
        ringing.statusCode = 180
        call.answer(ringing)


def obey(words):
    prm = pj.CallOpParam(True)
    match words:
        case ["call", uri]:
            Call(account).makeCall(uri, prm)
        case ["answer", n]:
            prm.statusCode = 200
            calls[int(n)].answer(prm)
        case ["hangup", n]:
            calls[int(n)].hangup(prm)
        case ["hold", n]:
            calls[int(n)].setHold(prm)
        case ["resume", n]:
            prm.opt.flag = pj.PJSUA_CALL_UNHOLD
            calls[int(n)].reinvite(prm)
        case ["transfer", n, uri]:
            calls[int(n)].xfer(uri, prm)
        case ["attended", n, m]:
            calls[int(n)].xferReplaces(calls[int(m)], prm)
        case ["digits", n, digits]:
            calls[int(n)].dialDtmf(digits)
        case ["info", n, digits]:
            dtmf = pj.CallSendDtmfParam()
            dtmf.method, dtmf.digits = pj.PJSUA_DTMF_METHOD_SIP_INFO, digits
            calls[int(n)].sendDtmf(dtmf)
        case _:
            say("UNKNOWN", *words)


def listen(lines):
    for line in sys.stdin:
        lines.put(line.split())
    lines.put(None)


endpoint = pj.Endpoint()
endpoint.libCreate()
config = pj.EpConfig()
config.uaConfig.threadCnt = 0
config.uaConfig.mainThreadOnly = True
config.logConfig.level = 5
config.logConfig.consoleLevel = 0
config.logConfig.filename = f"{FOLDER}/log"
config.logConfig.msgLogging = 1
config.medConfig.clockRate = 8000
config.medConfig.sndClockRate = 8000
config.medConfig.noVad = True
config.medConfig.ecTailLen = 0
endpoint.libInit(config)
transport = pj.TransportConfig()
transport.port, transport.boundAddress = int(PORT), "127.0.0.1"
endpoint.transportCreate(getattr(pj, f"PJSIP_TRANSPORT_{TRANSPORT.upper()}"), transport)
endpoint.libStart()
endpoint.audDevManager().setNullDev()
for codec in endpoint.codecEnum2():
    endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith("PCMU/") else 0)
tone = pj.AudioMediaPlayer()
tone.createPlayer(TONE)

account_config = pj.AccountConfig()
account_config.idUri = f"sip:{USER}@{HOST}"
account_config.regConfig.registrarUri = f"sip:{SWITCH};transport={TRANSPORT}"
account_config.regConfig.timeoutSec = 60
account_config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", USER, 0, PASSWORD))
account_config.sipConfig.proxies.append(f"sip:{SWITCH};transport={TRANSPORT};lr")
account_config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
account_config.natConfig.iceEnabled = False
account = Account()
account.create(account_config)
say("READY", endpoint.libVersion().full)

lines = queue.Queue()
threading.Thread(target=listen, args=(lines,), daemon=True).start()
while True:
    endpoint.libHandleEvents(10)
    try:
        words = lines.get_nowait()
    except queue.Empty:
        continue
    if words is None or words == ["quit"]:
        break
    try:
        obey(words)
    except pj.Error as error:
        say("ERROR", error.info())
endpoint.libDestroy()
