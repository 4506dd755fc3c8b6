"""Shows the checks what is inside Home Assistant, and calls services for them, at its own port and without a password: for tests only.

A request is a JSON object whose `do` names one of the functions below; the rest are its arguments.
"""

import asyncio
import base64
import json

from aiohttp import web

from homeassistant.components.http import HomeAssistantView
from homeassistant.components.sensor import const as sensor
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import area_registry, device_registry, entity_registry
from homeassistant.setup import async_when_setup

DOMAIN = "probe"
CONFIG_SCHEMA = cv.empty_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: dict) -> bool:
    probe = Probe(hass)

    async def view(hass: HomeAssistant, component: str) -> None:
        hass.http.register_view(probe)

    async_when_setup(hass, "http", view)

    @callback
    def changed(event: Event) -> None:
        new = event.data["new_state"]
        probe.changes.append([event.data["entity_id"], new and new.state])

    hass.bus.async_listen("state_changed", changed)
    return True


class Probe(HomeAssistantView):
    url = "/api/probe"
    name = "api:probe"
    requires_auth = False

    def __init__(self, hass: HomeAssistant) -> None:
        self.hass = hass
        self.changes = []

    async def post(self, request: web.Request) -> web.Response:
        asked = await request.json()
        try:
            answer = await getattr(self, f"do_{asked.pop('do')}")(**asked)
        except Exception as error:  # Whatever it is, who asked has to know.
            return web.Response(text=f"{error!r} {getattr(error, 'schema_errors', '')}", status=500)
        return web.Response(text=json.dumps(answer, default=str), content_type="application/json")

    def entry(self):
        entries = self.hass.config_entries.async_entries("mqtt")
        return entries[0] if entries else None

    async def do_running(self) -> bool:
        return self.hass.is_running and self.hass.state.name == "running"

    async def do_add_mqtt(self, **data) -> str:
        """Sets MQTT up as a user does, in its form."""
        flows = self.hass.config_entries.flow
        step = await flows.async_init("mqtt", context={"source": "user"})
        # What newer versions have folded up in their form is sent, too: no TLS.
        no_tls = {"set_client_cert": False, "set_ca_cert": "off"}
        folded = {str(key): no_tls for key, part in step["data_schema"].schema.items() if type(part).__name__ == "section"}
        step = await flows.async_configure(step["flow_id"], folded | data)
        return f"{step['type'].value} {step.get('errors') or ''}".strip()

    async def do_connected(self) -> bool:
        entry = self.entry()
        return bool(entry) and entry.state.name == "LOADED" and self.hass.data["mqtt"].client.connected

    async def do_inside(self) -> dict:
        """All devices, entities and states of MQTT."""
        areas = area_registry.async_get(self.hass)
        entry = self.entry()
        devices = [
            {
                "id": device.id,
                "identifiers": sorted(name for _, name in device.identifiers),
                "name": device.name,
                "manufacturer": device.manufacturer,
                "model": device.model,
                "serial_number": device.serial_number,
                "sw_version": device.sw_version,
                "area": device.area_id and areas.async_get_area(device.area_id).name,
            }
            for device in device_registry.async_entries_for_config_entry(
                device_registry.async_get(self.hass), entry.entry_id
            )
        ]
        entities = {}
        for one in entity_registry.async_entries_for_config_entry(entity_registry.async_get(self.hass), entry.entry_id):
            state = self.hass.states.get(one.entity_id)
            entities[one.unique_id] = {
                "entity_id": one.entity_id,
                "device": one.device_id,
                "name": one.original_name,
                "category": one.entity_category and one.entity_category.value,
                "disabled": one.disabled_by and one.disabled_by.value,
                "device_class": one.original_device_class,
                "unit": one.unit_of_measurement,
                "icon": one.original_icon,
                "state_class": (one.capabilities or {}).get("state_class"),
                "options": one.options,
                "state": state and state.state,
                "attributes": state and dict(state.attributes),
            }
        return {"devices": devices, "entities": entities}

    async def do_changes(self) -> list:
        """The states that entities were given since the last call, in their order."""
        changes, self.changes[:] = list(self.changes), []
        return changes

    async def do_call(self, service: str, **data) -> None:
        domain, _, name = service.partition(".")
        await self.hass.services.async_call(domain, name, data, blocking=True)

    async def do_image(self, entity_id: str) -> dict:
        image = self.hass.data["image"].get_entity(entity_id)
        content = await image.async_image()
        return {"type": image.content_type, "base64": base64.b64encode(content or b"").decode()}

    async def do_enable(self) -> int:
        """Turns on what is off at first, as a user does, and loads MQTT again so that it is there at once."""
        registry = entity_registry.async_get(self.hass)
        entry = self.entry()
        off = [
            one.entity_id
            for one in entity_registry.async_entries_for_config_entry(registry, entry.entry_id)
            if one.disabled_by
        ]
        for entity_id in off:
            registry.async_update_entity(entity_id, disabled_by=None)
        await self.hass.config_entries.async_reload(entry.entry_id)
        return len(off)

    async def do_settle(self) -> None:
        """Ends when nothing is under way any more."""
        await asyncio.wait_for(self.hass.async_block_till_done(), 20)

    async def do_classes(self) -> dict:
        """Home Assistant's own tables: units and statistics of each device class of sensors."""
        return {
            device_class.value: {
                "units": sorted(str(unit) for unit in units if unit is not None),
                "bare": None in units,
                "statistics": sorted(one.value for one in sensor.DEVICE_CLASS_STATE_CLASSES.get(device_class, ())),
            }
            for device_class, units in sensor.DEVICE_CLASS_UNITS.items()
        }
