"""The weather: faults at Stripe, webhooks lost and repeated, processes killed, mail away, the clock moved on."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from tests.storm.desk import Desk
from tests.storm.lots import weather
from tests.storm.world import World


class Weather(threading.Thread):
    """Spell after spell until the storm is over; ``jumped`` is told each time the clock was moved far."""

    def __init__(self, world: World, desk: Desk, seed: int, jumped: Callable[[], None]) -> None:
        super().__init__(name="weather", daemon=True)
        self.world = world
        self.desk = desk
        self.seed = seed
        self.jumped = jumped
        self.dice = random.Random(f"shelves {seed}")

    def run(self) -> None:
        world, parts = self.world, self.world.parts
        for spell in weather(self.seed):
            if world.over.is_set():
                return
            world.sandbox.control("faults", dict(spell.faults))
            world.sandbox.control("webhooks", dict(spell.webhooks))
            parts.mail.behave(spell.mail)
            world.note("weather", "spells")
            world.note("mail", spell.mail)
            if spell.jump:
                world.sandbox.advance(spell.jump)
                world.note("weather", f"clock moved by {spell.jump // 60} min")
                self.jumped()
            for victim in spell.kills:
                world.over.wait(spell.seconds / (len(spell.kills) + 1))
                parts.kill(victim)
                world.note("kills", victim.partition("-")[0])
            if spell.command:
                self.beside(spell.command)
            if spell.count:
                self.desk.count(self.dice)
            world.over.wait(spell.seconds / (len(spell.kills) + 1))

    def beside(self, command: str) -> None:
        """Somebody runs a command meanwhile; an audit must find nothing at any moment."""
        [done] = self.world.parts.commands_run(command)
        self.world.note("commands", f"{command}: {'done' if done.code == 0 else 'failed'}")
        if command == "audit" and done.code:
            self.world.wrong(f"an audit in the storm: {done.output}{done.raised}")


def calm(world: World) -> None:
    """No faults any more, no webhook lost, the mail server there."""
    world.sandbox.control("faults", {})
    world.sandbox.control("webhooks", {})
    world.parts.mail.behave("takes")
    world.parts.wait_until_ready()
