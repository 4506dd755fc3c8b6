"""Prints what MQTT and the parts that Home Assistant always loads want to have installed, as it would itself when it starts."""

import json
from pathlib import Path

import homeassistant
from homeassistant.bootstrap import DEFAULT_INTEGRATIONS

parts = Path(homeassistant.__file__).parent / "components"
# MQTT's form imports the one for Home Assistant's own operating system.
waiting, seen, wanted = ["mqtt", "hassio", *DEFAULT_INTEGRATIONS], set(), set()
while waiting:
    part = waiting.pop()
    manifest = parts / part / "manifest.json"
    if part in seen or not manifest.exists():
        continue
    seen.add(part)
    about = json.loads(manifest.read_text())
    wanted.update(about.get("requirements", []))
    waiting += about.get("dependencies", [])
print("\n".join(sorted(wanted)))
