"""Broker, Home Assistant and node as processes on the loopback address, and what is seen of them."""

import base64
import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
SECRET = "for-this-test-only"


class Failed(Exception):
    """Something did not come about."""


def until(what, condition, seconds=30):
    """Waits for `condition` to give something true, and gives that."""
    end = time.monotonic() + seconds
    seen = None
    while time.monotonic() < end:
        try:
            seen = condition()
        except (OSError, LookupError, TypeError, ValueError) as error:
            seen = error
        if seen and not isinstance(seen, Exception):
            return seen
        time.sleep(0.05)
    raise Failed(f"not within {seconds} s: {what} (last seen: {seen!r})")


class Process:
    """A program whose output goes into a file."""

    def __init__(self, command, log):
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)

    def end(self, how=signal.SIGTERM, seconds=60):
        if self.child.poll() is None:
            self.child.send_signal(how)
        return self.child.wait(seconds)


class Broker:
    """mosquitto with the rights that the repository ships, no persistence: after a restart it has forgotten everything."""

    def __init__(self, folder, port, nodes):
        self.folder, self.port, self.process = folder, port, None
        shipped = (REPO / "packaging/mosquitto.acl").read_text()
        meter = re.search(r"^user meter-1\n.*?(?=^\n)", shipped + "\n", re.S | re.M)[0]
        others = "\n".join(meter.replace("meter-1", node) for node in nodes if node != "meter-1")
        (folder / "acl").write_text(f"{shipped}\n{others}\nuser monitor\ntopic read #\n")
        passwords = folder / "passwords"
        passwords.write_text("".join(f"{user}:{SECRET}\n" for user in [*nodes, "homeassistant", "monitor"]))
        subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
        for file in (passwords, folder / "acl"):
            file.chmod(0o644)
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nacl_file {folder / 'acl'}\n"
            "persistence false\nlog_dest stderr\n"
        )
        self.monitor = None

    def start(self):
        self.process = Process(["mosquitto", "-c", self.folder / "mosquitto.conf"], self.folder / "broker.log")
        self.monitor = Monitor(self.port, self.folder / f"monitor-{time.monotonic_ns()}.txt")
        until("a subscriber at the broker", self.monitor.ready)

    def end(self):
        if self.process:
            self.process.end()
            self.monitor.process.end()


class Monitor:
    """Everything that goes through the broker."""

    def __init__(self, port, file):
        self.file = file
        user = ["-u", "monitor", "-P", SECRET, "-i", "monitor"]
        # It tries to connect only once, see `ready`, and without stdbuf what it prints would come in blocks.
        command = ["stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), *user, "-t", "#", "-q", "1", "-F", "%r %t %x", "-d"]
        self.process = None
        self.command = command

    def ready(self):
        if self.process is None or self.process.child.poll() is not None:
            self.process = Process(self.command, self.file)
        return b"Subscribed" in self.file.read_bytes()

    def messages(self, topic=None, after=0):
        """Topic and payload of all messages so far that were not kept ones, or of those of a topic."""
        found = []
        for line in self.file.read_bytes().decode().splitlines():
            match = re.fullmatch(r"0 (\S+) ([0-9a-f]*)", line)
            if match and topic in (None, match[1]):
                found.append((match[1], bytes.fromhex(match[2])))
        return found[after:]

    def readings(self, node, field):
        return [json.loads(payload) for _, payload in self.messages(f"ocr/{node}/field/{field}/state") if payload]


class HomeAssistant:
    """Home Assistant's core in its own root folder."""

    # What it says of the probe, and of what was left out of its root folder.
    KNOWN = re.compile(
        r"We found a custom integration probe|Skipping pip installation|\[aiohttp_fast_zlib\]|\[haffmpeg\.|libturbojpeg|\[homeassistant\.util\.logging\]"
    )

    def __init__(self, root, version, folder, port, broker_port):
        self.root, self.version, self.port, self.broker_port = root, version, port, broker_port
        self.log = folder / "home-assistant.log"
        self.judged, self.process = 0, None

    def start(self):
        command = (
            'mount -t proc proc "$1/proc" && cd / && exec env -i PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C.UTF-8 '
            'chroot "$1" "/opt/$2/bin/python" -m homeassistant --config /config --skip-pip --log-no-color'
        )
        # The mount is seen by this process alone and is gone with it.
        self.process = Process(["unshare", "--mount", "sh", "-c", command, "sh", self.root, self.version], self.log)
        until("Home Assistant runs", lambda: self.alive() and self.ask("running"), 120)

    def alive(self):
        if self.process.child.poll() is not None:
            raise Failed(f"Home Assistant ended, see {self.log}")
        return True

    def add_mqtt(self):
        return self.ask(
            "add_mqtt", broker="127.0.0.1", port=self.broker_port, username="homeassistant", password=SECRET
        )

    def end(self):
        if self.process:
            self.process.end()

    def ask(self, do, **arguments):
        body = json.dumps({"do": do, **arguments}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/probe", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:  # The probe is not there yet.
                raise
            raise Failed(f"Home Assistant was asked to {do} {arguments} and answered {error.read().decode()}") from error

    def call(self, service, **data):
        self.ask("call", service=service, **data)

    def devices(self):
        return {device["identifiers"][0]: device for device in self.ask("inside")["devices"]}

    def entities(self, node):
        """By what comes after the node in their unique ids."""
        all_of_them = self.ask("inside")["entities"]
        return {key.removeprefix(f"{node}_"): one for key, one in all_of_them.items() if key.startswith(f"{node}_")}

    def state(self, node, key):
        return self.entities(node)[key]["state"]

    def image(self, entity_id):
        image = self.ask("image", entity_id=entity_id)
        return image["type"], base64.b64decode(image["base64"])

    def complaints(self, also=None):
        """Warnings and errors in its log since the last call, whole, and none of what is `also` expected."""
        text = self.log.read_text(errors="replace")
        records = re.split(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})", text[self.judged :], flags=re.M)
        self.judged = len(text)
        bad = [one.strip() for one in records if re.match(r"\S+ \S+ (WARNING|ERROR|CRITICAL) ", one)]
        bad += [one.strip() for one in records[:1] if "Traceback" in one]
        return [one for one in bad if not self.KNOWN.search(one) and not (also and re.search(also, one))]


class Node:
    """A node of the program."""

    def __init__(self, program, folder, name, port):
        self.program, self.folder, self.name, self.port = program, folder, name, port
        self.config = folder / f"{name}.toml"
        self.process = None

    def configure(self, text, protocol="3.1.1"):
        text += (
            f'\n[mqtt]\nhost = "127.0.0.1"\nport = {self.port}\nusername = "{self.name}"\npassword_in_clear = "{SECRET}"\n'
            f'protocol = "{protocol}"\nbackoff_min_ms = 200\nbackoff_max_ms = 500\n[topics]\nnode_id = "{self.name}"\n'
        )
        self.config.write_text(text)
        self.config.chmod(0o600)

    def start(self):
        self.process = Process([self.program, "node", "--config", self.config, "-v"], self.folder / f"{self.name}.log")

    def end(self, how=signal.SIGTERM):
        if self.process:
            return self.process.end(how)

    def clear_retained(self):
        command = [self.program, "node", "--config", self.config, "--clear-retained"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)
