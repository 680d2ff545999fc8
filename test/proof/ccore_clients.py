"""Clients on C-core gRPC that call and call: `ccore_clients.py SETTINGS`. grpc-js-clients.ts is the same on grpc-js, and
load.ts says what they are told."""

import json
import os
import random
import re
import sys
import threading
import time

import grpc

DEADLINE_SECONDS = 40
MAX_REPEATS = 5
REPEAT_SECONDS = 0.1
PHASE_FIELD = "x-phase"

settings = json.loads(sys.argv[1])
lock = threading.RLock()
call_ended = threading.Condition(lock)
phase = None
stopped = False
calls = 0
running = {}
meetings = []


def report(**fields):
    with lock:
        print(json.dumps(fields), flush=True)


class Phase:
    def __init__(self, name, repeats):
        self.name = name
        self.repeats = repeats
        self.started_at = time.monotonic()


class Caller:
    def __init__(self, client, seed):
        self.name = client["name"]
        self.loss = re.compile(client["loss"])
        self.random = random.Random(seed)
        self.accounts = {}
        options = [
            ("grpc.service_config", json.dumps(settings["serviceConfig"])),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 1000),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        tls = client.get("tls")
        if tls is None:
            self.channel = grpc.insecure_channel(client["target"], options=options)
        else:
            options.append(("grpc.ssl_target_name_override", tls["serverName"]))
            with open(tls["ca"], "rb") as file:
                credentials = grpc.ssl_channel_credentials(file.read())
            self.channel = grpc.secure_channel(client["target"], credentials, options=options)

    def run(self):
        """Calls until it is told to stop; each call has a thread, of which there are as many as are needed."""
        interval = 1 / settings["callsPerSecond"]
        while not stopped:
            with lock:
                call = self.begin()
            threading.Thread(target=self.call, args=call, daemon=True).start()
            time.sleep(self.random.uniform(interval / 2, 3 * interval / 2))

    def begin(self):
        global calls
        calls += 1
        own = phase
        self.account(own)["calls"] += 1
        running[own.name] = running.get(own.name, 0) + 1
        return calls, own, self.questions(calls), self.random.randrange(2**32)

    def questions(self, number):
        """Mostly a unary call, else a stream of so many messages; now and then one that lasts for seconds."""
        chance = self.random
        if chance.random() < 0.7:
            return [{"id": number, "sleep": chance.randint(0, 200)}]
        length = chance.randint(2, 8) if chance.random() < 0.9 else chance.randint(8, settings["longestStream"])
        return [{"id": number}] * length

    def call(self, number, own, questions, seed):
        pace = random.Random(seed)
        code, details, answers = self.attempt(own, questions, pace)
        repeats = 0
        while own.repeats and self.loss.search(text_of(code, details)) and repeats < MAX_REPEATS:
            with lock:
                add_to(self.account(own)["losses"], text_of(code, details))
            time.sleep(REPEAT_SECONDS * 2**repeats)
            repeats += 1
            code, details, answers = self.attempt(own, questions, pace)
        what = failure_of(code, details, answers, questions)
        with lock:
            account = self.account(own)
            if what is None:
                account["ok"] += 1
                if repeats > 0:
                    account["repeated"] += 1
                elif any(answer["attempts"] > 0 for answer in answers):
                    account["retried"] += 1
                self.attend(number, answers[0])
            else:
                add_to(account["failures"], what)
                at = f"{time.monotonic() - own.started_at:.2f}"
                method = method_of(questions)
                report(event="failed", client=self.name, phase=own.name, at=at, method=method, what=what)
            running[own.name] -= 1
            call_ended.notify_all()

    def attempt(self, own, questions, pace):
        service = "proof.Repeated" if own.repeats else "proof.Once"
        name = f"/{service}/{method_of(questions)}"
        metadata = [(PHASE_FIELD, own.name)]
        answers = []
        try:
            if len(questions) == 1:
                request = json.dumps(questions[0]).encode()
                unary = self.channel.unary_unary(name)
                answers.append(json.loads(unary(request, timeout=DEADLINE_SECONDS, metadata=metadata)))
            else:
                requests = paced(questions, pace)
                stream = self.channel.stream_stream(name)
                for message in stream(requests, timeout=DEADLINE_SECONDS, metadata=metadata):
                    answers.append(json.loads(message))
            return grpc.StatusCode.OK, "", answers
        except grpc.RpcError as error:
            return error.code(), error.details(), answers

    def attend(self, number, path):
        for meeting in list(meetings):
            fits = all(path[key] == value for key, value in meeting["path"].items())
            if fits and number >= meeting["first"] and self in meeting["missing"]:
                meeting["missing"].remove(self)
                report(event="met", meet=meeting["id"], client=self.name)
            if not meeting["missing"]:
                meetings.remove(meeting)

    def account(self, own):
        fresh = {"calls": 0, "ok": 0, "retried": 0, "repeated": 0, "losses": {}, "failures": {}}
        return self.accounts.setdefault(own.name, {"client": self.name, "phase": own.name, **fresh})


def paced(questions, pace):
    for index, question in enumerate(questions):
        if index > 0:
            time.sleep(pace.uniform(0.02, 0.15))
        yield json.dumps(question).encode()


def method_of(questions):
    return "Unary" if len(questions) == 1 else "Stream"


def failure_of(code, details, answers, questions):
    if code != grpc.StatusCode.OK:
        return text_of(code, details)
    if len(answers) != len(questions):
        return f"{len(answers)} answers to {len(questions)} messages"
    return None if all(answer["id"] == questions[0]["id"] for answer in answers) else "the answer to another call"


def text_of(code, details):
    return f"{code.name}: {details}"


def add_to(counts, what):
    counts[what] = counts.get(what, 0) + 1


def until_ended(is_meant):
    with lock:
        while any(count > 0 and is_meant(name) for name, count in running.items()):
            call_ended.wait()


def end_phases(name):
    until_ended(lambda other: other != name)
    report(event="phase", phase=name)


def obey(command):
    global phase, stopped
    if "phase" in command:
        with lock:
            phase = Phase(command["phase"], command["repeats"])
        threading.Thread(target=end_phases, args=[phase.name], daemon=True).start()
    elif "meet" in command:
        with lock:
            first, missing = calls + 1, set(callers)
            meetings.append({"id": command["meet"], "path": command["path"], "first": first, "missing": missing})
    else:
        stopped = True
        for thread in threads:
            thread.join()
        until_ended(lambda _: True)
        report(event="accounts", accounts=[each for caller in callers for each in caller.accounts.values()])
        os._exit(0)


callers = [Caller(client, settings["seed"] + index) for index, client in enumerate(settings["clients"])]
threads = []
for line in sys.stdin:
    obey(json.loads(line))
    if not threads:
        threads = [threading.Thread(target=caller.run, daemon=True) for caller in callers]
        for thread in threads:
            thread.start()
# Not to outlive the proof.
os._exit(1)
