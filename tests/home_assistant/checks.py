#!/usr/bin/env python3
"""Nodes in a real Home Assistant: what `run` does once everything is installed.

    checks.py --program EDGE_OCR --root ROOT --version VERSION --work FOLDER [--report FILE]

ROOT is a root folder with Home Assistant in /opt/VERSION.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from machines import REPO, Failed, until
from stage import BEGAN, DISCOVERY, FIRST, MAIN, PAGE, PLATE, SECOND, Stage, attribute, entity_id, gone, number, told

def discovery(stage):
    checks, ha = stage.checks, stage.ha
    meter = stage.nodes["meter-1"]
    labels = 'home_assistant = { device_class = "water", precision = 3, icon = "mdi:water" }\n'
    meter.configure(stage.source("meter-1") + MAIN + labels + PLATE + PAGE + DISCOVERY)
    meter.start()
    until("the node's device", lambda: "ocrnode_meter-1" in ha.devices())
    components = until("discovery", lambda: told(stage, "meter-1"))
    until("all entities", lambda: len(ha.entities("meter-1")) >= len(components))
    ha.ask("settle")
    stage.quiet("discovery")
    devices = ha.devices()
    checks.equal("one device", list(devices), ["ocrnode_meter-1"])
    device = devices["ocrnode_meter-1"]
    version = re.search(r"[\d.]+", subprocess.run([stage.program, "--version"], capture_output=True, text=True).stdout)[0]
    for key, expected in [
        ("name", "Water meter"),
        ("manufacturer", "edge-ocr"),
        ("sw_version", version),
        ("serial_number", "meter-1"),
        ("area", "Cellar"),
    ]:
        checks.equal(f"the device's {key}", device[key], expected)
    checks.true("the device's model", device["model"], device)
    entities = ha.entities("meter-1")
    checks.equal("every component is an entity and nothing else is", sorted(entities), sorted(components))
    for key, component in components.items():
        one = entities[key]
        expected = {
            "device": device["id"],
            "name": component["name"],
            "category": component.get("ent_cat"),
            "disabled": None if component.get("en", True) else "integration",
            "device_class": component.get("dev_cla"),
            "unit": component.get("unit_of_meas"),
            "icon": component.get("ic"),
            "state_class": component.get("stat_cla"),
        }
        checks.equal(f"{key}: as announced", {name: one[name] for name in expected}, expected)
        checks.equal(f"{key}: kind", one["entity_id"].partition(".")[0], component["p"])
        if stage.names_entities:
            checks.equal(f"{key}: entity id", one["entity_id"], component["def_ent_id"])
    checks.equal(
        "shown with three digits",
        entities["main_value"]["options"].get("sensor", {}).get("suggested_display_precision"),
        3,
    )
    stage.table = [(key, entities[key]) for key in components]


def states(stage):
    checks, ha = stage.checks, stage.ha
    first = stage.last()
    stage.shows("the first reading is the state", "meter-1", "main_value", FIRST)
    stage.shows("its confidence", "meter-1", "main_confidence", round(first["confidence"] * 100, 1))
    stage.shows("no problem", "meter-1", "main_problem", "off")
    stage.shows("the text that was read", "meter-1", "main_text", first["raw"])
    stage.shows("a text that was not found yet is unknown", "meter-1", "plate_value", "unknown")
    stage.shows("and a problem", "meter-1", "plate_problem", "on")
    for key in ["status", "candidates", "captured_at", "rebased"]:
        checks.equal(f"attribute {key}", attribute(ha, "main_text", key), first[key])
    checks.equal("attribute text", attribute(ha, "main_text", "text"), first["raw"])
    checks.equal("the state's unit", attribute(ha, "main_value", "unit_of_measurement"), "m³")

    stage.read()
    stage.shows("'Read now' brings the next reading", "meter-1", "main_value", SECOND)
    answer = until("answer", lambda: stage.broker.monitor.messages("ocr/meter-1/cmd/read/result"))
    checks.equal("and is answered", json.loads(answer[0][1]), {"ok": True, "command": "read"})
    stage.shows("text of a field", "meter-1", "plate_value", "KX 4791 B")
    fired = until("the event", lambda: attribute(ha, "plate_event", "event_type"))
    checks.equal("the event fires", (fired, attribute(ha, "plate_event", "value")), ("read", "KX 4791 B"))
    stage.quiet("readings")


# What is said of a broker that went away.
LOST = r"\[paho\.mqtt\.client\]|mqtt\.client\] (Disconnected from MQTT server|Failed to connect to MQTT server|Error returned from MQTT server)"


def told_again(stage):
    checks, ha = stage.checks, stage.ha
    fired = ha.state("meter-1", "plate_event")
    stage.broker.end()
    until("unavailable without a broker", lambda: ha.state("meter-1", "main_value") == "unavailable")
    stage.broker.start()
    stage.shows("a broker that has forgotten everything: the value", "meter-1", "main_value", SECOND)
    topics = lambda: [topic for topic, _ in stage.broker.monitor.messages()]
    device = "homeassistant/device/ocrnode_meter-1/config"
    until("discovery after Home Assistant's birth", lambda: device in topics()[topics().index("homeassistant/status") :])
    ha.ask("settle")
    checks.equal("no event", ha.state("meter-1", "plate_event"), fired)
    stage.quiet("the broker's restart, but for the lost connection", also=LOST)


def refusals(stage):
    checks, ha = stage.checks, stage.ha
    ha.ask("changes")
    refused = stage.read()
    stage.shows("a reading without a number is a problem", "meter-1", "main_problem", "on")
    stage.shows("and keeps the value", "meter-1", "main_value", SECOND)
    checks.true("with the reason", refused["status"] != "ok", refused)
    checks.equal("as an attribute", attribute(ha, "main_text", "status"), refused["status"])
    page = stage.last("page")["raw"]
    checks.true("the page is longer than a state may be", len(page) > 255, page)
    stage.shows("long text is cut", "meter-1", "page_text", page[:255])
    stage.shows("as a value too", "meter-1", "page_value", stage.last("page")["value"][:255])
    checks.equal("and whole in the attributes", attribute(ha, "page_text", "text"), page)

    checks.equal("a fall is refused", stage.read()["status"], "negative_rate")
    until("the refusal", lambda: attribute(ha, "main_text", "status") == "negative_rate")
    stage.shows("and the value stays", "meter-1", "main_value", SECOND)
    values = [state for entity, state in ha.ask("changes") if entity == entity_id(ha, "main_value")]
    checks.equal("a value that stays is not written", values, [])
    stage.quiet("refused readings")


def commands(stage):
    checks, ha, monitor = stage.checks, stage.ha, stage.broker.monitor
    stage.press("meter-1", "publish_image")
    jpeg = until("an image", lambda: monitor.messages("ocr/meter-1/camera/image"))[-1][1]
    until("the image in Home Assistant", lambda: ha.state("meter-1", "last_frame") not in (None, "unknown"))
    checks.equal("'Publish image' brings the image", ha.image(entity_id(ha, "last_frame")), ("image/jpeg", jpeg))

    payload = json.dumps({"field": "main", "value": 0.1, "transaction": "ha"})
    ha.call("mqtt.publish", topic="ocr/meter-1/cmd/set_value", payload=payload)
    answer = until("answer", lambda: monitor.messages("ocr/meter-1/cmd/set_value/result"))[0][1]
    checks.equal("set_value is done", json.loads(answer), {"ok": True, "command": "set_value", "transaction": "ha"})
    stage.read()
    stage.shows("after it the lower reading is accepted", "meter-1", "main_value", FIRST)
    stage.shows("and no problem", "meter-1", "main_problem", "off")
    stage.quiet("commands")


def diagnostics(stage):
    checks, ha = stage.checks, stage.ha
    off = [key for key, component in told(stage, "meter-1").items() if not component.get("en", True)]
    checks.equal("diagnostics that were turned on", ha.ask("enable"), len(off))
    until("MQTT after loading it again", lambda: ha.ask("connected"))
    stage.shows("back after MQTT was loaded again", "meter-1", "main_value", FIRST)
    for key in off:
        until(f"{key} is there", lambda: ha.state("meter-1", key) not in (None, "unavailable"))
    until("statistics in Home Assistant", lambda: number(ha.state("meter-1", "uptime")) is not None)
    ha.ask("settle")
    stats = json.loads(until("statistics", lambda: stage.broker.monitor.messages("ocr/meter-1/stats"))[-1][1])
    for key, known in [("temperature", stats["temperature_c"]), ("memory", stats["rss_bytes"]), ("uptime", 1)]:
        got = until(key, lambda: ha.state("meter-1", key))
        checks.equal(f"{key}: a number if it is known", number(got) is not None, known is not None)
    for key in ["round_time", "outbox_waiting", "outbox_dropped", "reconnects"]:
        checks.true(f"{key}: a number", number(ha.state("meter-1", key)) is not None, ha.state("meter-1", key))
    stage.shows("throttled", "meter-1", "throttled", "off")
    stage.quiet("diagnostics")


def availability(stage):
    checks, ha, meter = stage.checks, stage.ha, stage.nodes["meter-1"]
    # An image that is none: the camera's fault.
    broken = stage.work / "images/plate.jpg"
    whole = broken.read_bytes()
    broken.write_bytes(b"no image")
    stage.press("meter-1", "read_now")
    stage.shows("a camera that fails makes its readings unavailable", "meter-1", "main_value", "unavailable")
    stage.shows("what says so stays", "meter-1", "main_problem", "on")
    stage.shows("and the button", "meter-1", "read_now", ha.state("meter-1", "read_now"))
    checks.true("the button can be pressed", ha.state("meter-1", "read_now") != "unavailable")
    broken.write_bytes(whole)
    while ha.state("meter-1", "main_value") == "unavailable":
        before = len(stage.broker.monitor.messages("ocr/meter-1/cmd/read/result"))
        stage.press("meter-1", "read_now")
        until("answer", lambda: stage.broker.monitor.messages("ocr/meter-1/cmd/read/result")[before:])
        if before > 12:
            raise Failed("the camera does not come back")
        ha.ask("settle")
    stage.shows("a camera that is back", "meter-1", "main_problem", ha.state("meter-1", "main_problem"))
    everything = list(ha.entities("meter-1"))
    value = ha.state("meter-1", "main_value")
    for how, what in [(signal.SIGTERM, "stopped"), (signal.SIGKILL, "killed")]:
        meter.end(how)
        for key in everything:
            until(f"{key} unavailable", lambda: ha.state("meter-1", key) == "unavailable")
        checks.true(f"a node that was {what}: all {len(everything)} entities unavailable", True)
        before = len(stage.broker.monitor.readings("meter-1", "page"))
        meter.start()
        read = until("a reading", lambda: stage.broker.monitor.readings("meter-1", "page")[before:])[-1]
        for key in everything:
            until(f"{key} available", lambda: ha.state("meter-1", key) != "unavailable")
        checks.true("and back when it runs again", True)
        stage.shows("with the value", "meter-1", "main_value", number(value))
        # Refused readings come after the accepted ones of a round.
        for field in ["main", "plate", "page"]:
            at = lambda: attribute(ha, f"{field}_text", "captured_at")
            until(f"the reading of {field} in Home Assistant", lambda: at() == read["captured_at"])
    stage.quiet("a camera that fails, a node that ends")


def restarts(stage):
    checks, ha, broker = stage.checks, stage.ha, stage.broker
    before = {key: (one["entity_id"], one["state"]) for key, one in ha.entities("meter-1").items()}
    lasting = [key for key in before if re.match(r"(main|page|plate)_(value|text|problem|confidence)$", key)]
    running = stage.nodes["meter-1"].process.child.pid
    ha.end()
    ha.start()
    until("MQTT", lambda: ha.ask("connected"))
    for key in lasting:
        stage.shows(f"after Home Assistant's restart: {key}", "meter-1", key, before[key][1])
    after = ha.entities("meter-1")
    checks.equal("with the same entity ids", {key: one["entity_id"] for key, one in after.items()}, {k: v[0] for k, v in before.items()})
    checks.equal("the node was not started again", stage.nodes["meter-1"].process.child.poll(), None)
    checks.equal("nor is it another", stage.nodes["meter-1"].process.child.pid, running)
    stage.quiet("Home Assistant's restart")

    broker.end()
    until("unavailable without a broker", lambda: ha.state("meter-1", "main_value") == "unavailable")
    broker.start()
    for key in lasting:
        stage.shows(f"after the broker's restart: {key}", "meter-1", key, before[key][1])
    stage.quiet("the broker's restart, but for the lost connection", also=LOST)


def changed_configuration(stage):
    checks, ha, meter = stage.checks, stage.ha, stage.nodes["meter-1"]
    labels = 'home_assistant = { device_class = "water", precision = 3, icon = "mdi:water" }\n'
    plates = [key for key in ha.entities("meter-1") if key.startswith("plate_")]
    checks.equal("entities of a field", len(plates), 5)
    meter.configure(stage.source("meter-1") + MAIN + labels + PAGE + DISCOVERY)
    ha.call("mqtt.publish", topic="ocr/meter-1/cmd/reload", payload="{}")
    until("the field's entities are gone", lambda: not any(key in plates for key in ha.entities("meter-1")))
    checks.true("a field that was taken out of the configuration has no entities any more (cmd/reload)", True)
    stage.shows("and the others are there", "meter-1", "main_problem", "off")
    stage.quiet("a field that is gone")

    meter.configure(stage.source("meter-1") + MAIN + labels + DISCOVERY)
    ha.end()
    meter.end()
    meter.start()
    until("the node", lambda: stage.broker.monitor.messages("ocr/meter-1/status")[-1][1] == b"online")
    ha.start()
    stage.shows("Home Assistant, which was away meanwhile", "meter-1", "main_problem", "off")
    ha.ask("settle")
    gone(stage, "a field that was taken out while Home Assistant was away", "meter-1", "page_")
    stage.quiet("a field that went meanwhile")


def cleared(stage):
    checks, ha, meter = stage.checks, stage.ha, stage.nodes["meter-1"]
    for away in [False, True]:
        meter.end()
        if away:
            ha.end()
            ha.start()
            until("MQTT", lambda: ha.ask("connected"))
        done = meter.clear_retained()
        checks.equal("--clear-retained is content", (done.returncode, done.stderr), (0, ""))
        what = "of a node that Home Assistant has not met since its start" if away else "of a node"
        gone(stage, f"--clear-retained {what}", "meter-1")
        until("no device", lambda: True)
        checks.true("nor the device", "ocrnode_meter-1" not in ha.devices(), ha.devices())
        stage.quiet("clearing", also=stage.itself)
        if not away:
            before = len(stage.broker.monitor.readings("meter-1", "main"))
            meter.start()
            until("a reading", lambda: stage.broker.monitor.readings("meter-1", "main")[before:])
            stage.shows("a node that comes back", "meter-1", "main_problem", "off")


def second(stage):
    """What is off by default: states that are not kept and expire, discovery that is kept, MQTT 5."""
    checks, ha, node = stage.checks, stage.ha, stage.nodes["second"]
    labels = 'home_assistant = { device_class = "water", expire_after_s = 6 }\n'
    name = "Zähler „Öl“ 2"
    for kept in [True, False]:
        text = stage.source("second") + MAIN + labels + PLATE + DISCOVERY.replace("Water meter", name)
        node.configure(text + f"[retain]\nstate = false\ndiscovery = {str(kept).lower()}\n", protocol="5")
        node.start()
        what = f"discovery {'kept' if kept else 'not kept'}"
        stage.shows(f"{what}: a value", "second", "main_value", FIRST)
        stage.shows(f"{what}: expires", "second", "main_value", "unavailable")
        stage.read("second")
        stage.shows(f"{what}: is back with the next", "second", "main_value", SECOND)
        checks.equal(f"{what}: the device's name", ha.devices()["ocrnode_second"]["name"], name)
        fired = until("the event", lambda: ha.state("second", "plate_event") not in (None, "unknown") and ha.state("second", "plate_event"))
        ha.end()
        ha.start()
        stage.shows(f"{what}: told after a restart", "second", "main_value", SECOND)
        stage.shows(f"{what}: with its text", "second", "main_text", stage.last("main", "second")["raw"])
        stage.shows(f"{what}: the other field too", "second", "plate_value", "KX 4791 B")
        checks.equal(f"{what}: what is told again is no event", ha.state("second", "plate_event"), fired)
        node.end()
        until("unavailable", lambda: ha.state("second", "main_value") == "unavailable")
        checks.equal(f"{what}: --clear-retained", node.clear_retained().returncode, 0)
        gone(stage, f"{what}: cleared", "second")
        shutil.rmtree(stage.work / "second-state")
    stage.quiet("expiring states, MQTT 5", also=stage.itself)


def classes(stage):
    """Every device class with every unit that a configuration may have."""
    checks, ha = stage.checks, stage.ha
    source = (REPO / "node/src/publish/discovery/classes.rs").read_text()
    lists = dict(re.findall(r"^const (\w+): &\[&str\] = &\[(.*?)\];", source, re.S | re.M))
    rows = re.findall(r'\(\s*"(\w+)",\s*Kind::(\w+),\s*(?:&\[(.*?)\]|([A-Z]+)),?\s*\)', source, re.S)
    ours = {name: (kind, re.findall(r'"(.*?)"', lists[link] if link else units)) for name, kind, units, link in rows}
    checks.true("classes were found in the source", len(ours) > 30, ours)
    theirs = ha.ask("classes")
    allowed = {"Moment": {"measurement"}, "Sum": {"total", "total_increasing"}, "Both": {"measurement", "total", "total_increasing"}}
    for name, (kind, units) in ours.items():
        known = theirs.get(name, {"units": [], "bare": False, "statistics": []})
        more = {unit for unit in units if unit.replace("µ", "μ") not in known["units"] and unit not in known["units"]}
        checks.true(f"{name}: Home Assistant knows its units", name in theirs and not more, f"{more} {known}")
        wrong = allowed[kind] - set(known["statistics"])
        checks.true(f"{name}: and its statistics", not wrong, f"{wrong} {known}")
        checks.true(f"{name}: a unit where one is needed", units or known["bare"], known)
    fields = []
    for name, (_, units) in ours.items():
        for at, unit in enumerate(units or [None]):
            unit = f', unit = "{unit}"' if unit else ""
            fields.append(
                f'[[field]]\nname = "{name}-{at}"\nmode = "line"\nmin_confidence = 0\nmin_char_confidence = 0\n'
                f'number = {{ decimals_shift = 0{unit} }}\nhome_assistant = {{ device_class = "{name}" }}\n'
            )
    for part, node in enumerate(node for name, node in stage.nodes.items() if name.startswith("classes")):
        mine = fields[part * 60 : part * 60 + 60]
        text = stage.source(node.name, ["digit.png"], 0) + "".join(mine)
        node.configure(text + "[discovery]\nenabled = true\ndiagnostics = false\n")
        node.start()
        until("all of them", lambda: len(ha.entities(node.name)) == 4 * len(mine) + 3, 60)
        values = lambda: {key: one for key, one in ha.entities(node.name).items() if key.endswith("_value")}
        until("a number each", lambda: all(number(one["state"]) is not None for one in values().values()), 60)
        checks.equal(f"{len(mine)} fields, one for each class and unit, have values", len(values()), len(mine))
        components = told(stage, node.name)
        as_read = [one for key, one in values().items() if one["attributes"].get("unit_of_measurement") == components[key].get("unit_of_meas")]
        # The others are converted, as everything is that comes in units of another system.
        checks.true("what is not converted is as it was read", all(number(one["state"]) == 7 for one in as_read), as_read)
        stage.converted += len(mine) - len(as_read)
        node.end()
        checks.equal("--clear-retained", node.clear_retained().returncode, 0)
        gone(stage, "all those fields", node.name)
    stage.quiet("classes and units")


def report(stage, version):
    """The entities as Home Assistant had them, and how many checks held."""
    lines = [f"## Home Assistant {version}", "", "| stage | held | failed |", "|---|---|---|"]
    for name in dict.fromkeys(row[0] for row in stage.checks.rows):
        held = [row[2] for row in stage.checks.rows if row[0] == name]
        lines.append(f"| {name} | {sum(held)} | {len(held) - sum(held)} |")
    lines += ["", f"Of the fields with all classes and units, {stage.converted} were shown in a unit of Home Assistant's choice."]
    lines += ["", "| entity | name | kind | device class | unit | state class | at first |", "|---|---|---|---|---|---|---|"]
    for one in sorted((one for _, one in stage.table), key=lambda one: (one["category"] or "", one["entity_id"])):
        off = "off" if one["disabled"] else "on"
        cells = [f"`{one['entity_id']}`", one["name"], one["category"], one["device_class"], one["unit"], one["state_class"], off]
        lines.append("| " + " | ".join(cell or "" for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ["program", "root", "work"]:
        parser.add_argument(f"--{name}", type=lambda text: Path(text).resolve(), required=True)
    parser.add_argument("--version", required=True, help="of Home Assistant")
    parser.add_argument("--report", type=Path, help="what came out, as Markdown")
    parser.add_argument("--only", nargs="*", help="stages after the first")
    args = parser.parse_args()
    stage = Stage(args)
    checks = stage.checks
    try:
        with checks.of("Start"):
            stage.broker.start()
            stage.ha.start()
            checks.equal("MQTT is set up in the form", stage.ha.add_mqtt(), "create_entry")
            until("a connection", lambda: stage.ha.ask("connected"))
            stage.quiet("start")
        if checks.failed:
            return 1
        for one in [discovery, states, told_again, refusals, commands, diagnostics, availability, restarts, changed_configuration, cleared, second, classes]:
            if args.only and one.__name__ not in args.only:
                continue
            with checks.of(one.__name__.replace("_", " ").capitalize()):
                one(stage)
    finally:
        stage.end()
    if args.report:
        args.report.write_text(report(stage, args.version))
    print(f"\n{len(checks.rows) - checks.failed} passed, {checks.failed} failed in {time.monotonic() - BEGAN:.0f} s")
    return int(checks.failed > 0)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
