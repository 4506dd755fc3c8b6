"""What all checks have: their list, and a broker, Home Assistant and nodes to look at."""

import contextlib
import json
import shutil
import signal
import socket
import time
from pathlib import Path

from machines import REPO, Broker, Failed, HomeAssistant, Node, until

# Rounds take these in turn: a first reading; a second, higher one; no number at all; a lower one, which is refused.
IMAGES = ["check.png", "plate.jpg", "columns.png", "check.png"]
NODES = ["meter-1", "second", "classes-1", "classes-2", "classes-3"]
FIRST, SECOND = 0.123, 4.791

SOURCE = """
[node]
state_dir = "{state}"
stats_interval_s = {stats}
[source]
kind = "replay"
files = {files}
[trigger]
interval_s = 86400
"""
MAIN = """
[[field]]
name = "main"
mode = "page"
label = "Reading"
select = "first-match"
regex = '\\d{4}'
number = { decimals_shift = -3, unit = "m³" }
monotonic = "increasing"
max_jump = 100
rebase_after = 0
"""
PAGE = '[[field]]\nname = "page"\nmode = "page"\n'
PLATE = """
[[field]]
name = "plate"
mode = "page"
label = "Plate"
select = "first-match"
regex = '[A-Z]{2} \\d{4} [A-Z]'
home_assistant = { event = true, icon = "mdi:car" }
"""
DISCOVERY = '[discovery]\nenabled = true\nname = "Water meter"\nsuggested_area = "Cellar"\nbirth_jitter_ms = 200\n'


class Checks:
    def __init__(self):
        self.stage, self.rows, self.failed = "", [], 0

    def true(self, what, holds, seen=""):
        self.rows.append((self.stage, what, bool(holds)))
        self.failed += not holds
        print(f"  {'ok  ' if holds else 'FAIL'} {what}" + ("" if holds else f"\n       {seen}"), flush=True)

    def equal(self, what, got, expected):
        self.true(what, got == expected, f"got      {got!r}\n       expected {expected!r}")

    @contextlib.contextmanager
    def of(self, stage):
        self.stage = stage
        print(f"\n{stage} ({time.monotonic() - BEGAN:.0f} s)", flush=True)
        try:
            yield
        except Exception as error:  # The other stages can say something all the same.
            self.true(f"goes through: {type(error).__name__}", False, error)


BEGAN = time.monotonic()


class Stage:
    """What all checks need."""

    def __init__(self, args):
        self.checks, self.converted, self.table = Checks(), 0, []
        # Entity ids of the node's choice are known since 2025.10; before they were made of names.
        self.version = tuple(map(int, args.version.split(".")[:2]))
        # It cleared a device's topic itself for each entity that was turned off and is removed, and then complained about that (2026.2).
        self.itself = None if self.version >= (2026, 11) else r"No device components to cleanup for ocrnode_"
        self.names_entities = self.version >= (2025, 10)
        self.program, work = args.program, args.work
        shutil.rmtree(work, ignore_errors=True)
        self.work = work
        (work / "images").mkdir(parents=True)
        for image in set(IMAGES) | {"digit.png"}:
            shutil.copy(REPO / "tests/golden" / image, work / "images")
        port, ha_port = free_ports(2)
        self.broker = Broker(work, port, NODES)
        config = args.root / "config"
        shutil.rmtree(config, ignore_errors=True)
        shutil.copytree(Path(__file__).parent / "probe", config / "custom_components/probe")
        (config / "configuration.yaml").write_text(
            "homeassistant:\n  name: Test\n  latitude: 0\n  longitude: 0\n  elevation: 0\n  unit_system: metric\n  time_zone: UTC\n"
            "  country: AT\n  currency: EUR\n"
            f"http:\n  server_host: 127.0.0.1\n  server_port: {ha_port}\n"
            "logger:\n  default: warning\n  logs:\n    homeassistant.components.mqtt: debug\nprobe:\n"
        )
        self.ha = HomeAssistant(args.root, args.version, work, ha_port, port)
        self.nodes = {name: Node(self.program, work, name, port) for name in NODES}

    def source(self, node, images=IMAGES, stats=1):
        files = [str(self.work / "images" / image) for image in images]
        return SOURCE.format(state=self.work / f"{node}-state", stats=stats, files=json.dumps(files))

    def end(self):
        for node in self.nodes.values():
            node.end(signal.SIGKILL)
        self.ha.end()
        self.broker.end()

    def quiet(self, what, also=None):
        """Whether Home Assistant had nothing to say against anything."""
        self.ha.ask("settle")
        complaints = self.ha.complaints(also)
        self.checks.true(f"no warning, no error: {what}", not complaints, "\n       ".join(complaints))

    def last(self, field="main", node="meter-1"):
        """The field's last reading at the broker."""
        return until(f"a reading of {field}", lambda: self.broker.monitor.readings(node, field))[-1]

    def read(self, node="meter-1", field="main"):
        """Presses 'Read now', and gives what was read."""
        before = len(self.broker.monitor.readings(node, field))
        self.press(node, "read_now")
        return until(f"a reading of {field}", lambda: self.broker.monitor.readings(node, field)[before:])[-1]

    def shows(self, what, node, key, state, seconds=20):
        """Whether an entity comes to a state, which is told as number or as text."""

        def there():
            got = self.ha.state(node, key)
            return number(got) == state if isinstance(state, float) else got == state

        try:
            until(f"{key} is {state!r}", there, seconds)
            self.checks.true(what, True)
        except Failed as error:
            self.checks.true(what, False, f"{error}; it is {self.ha.state(node, key)!r}")

    def press(self, node, key):
        self.ha.call("button.press", entity_id=self.ha.entities(node)[key]["entity_id"])


def number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def told(stage, node):
    """The components of the last discovery message, by key."""
    messages = stage.broker.monitor.messages(f"homeassistant/device/ocrnode_{node}/config")
    return json.loads(messages[-1][1])["cmps"]


def gone(stage, what, node, start=""):
    try:
        until(what, lambda: not [key for key in stage.ha.entities(node) if key.startswith(start)], 10)
        stage.checks.true(f"{what}: no entity is left", True)
    except Failed:
        left = [(key, one["state"]) for key, one in stage.ha.entities(node).items() if key.startswith(start)]
        stage.checks.true(f"{what}: no entity is left", False, left)


def entity_id(ha, key, node="meter-1"):
    return ha.entities(node)[key]["entity_id"]


def attribute(ha, key, name, node="meter-1"):
    return (ha.entities(node)[key]["attributes"] or {}).get(name)
