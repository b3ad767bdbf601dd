"""Story: the main job by curl alone. Runs the very blocks of docs/guide/main-job.md against a real server and a real receiver."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

from standardwebhooks.webhooks import Webhook

from tests.patience import PATIENCE
from tests.receiver import Receiver
from tests.servers import Server

GUIDE = Path(__file__).parents[2] / "docs/guide/main-job.md"


def test_the_guide_works_as_it_is_written(tmp_path: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    with Receiver() as receiver, Server(tmp_path / "data") as server:
        environment = {**server.environment, "URL": server.url, "KEY": server.run("api-key", "create", "--role", "admin"), "HOOK": receiver.url}
        script = "set -euo pipefail\n" + "\n".join(blocks)
        subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True, timeout=PATIENCE)
        await_messages(receiver, 2)

    def answer(name: str) -> dict:
        return json.loads((tmp_path / name).read_text())

    assert (tmp_path / "register.status").read_text() == "201\n"
    assert (tmp_path / "ingest.status").read_text() == "202\n"
    assert answer("red.json")["status"] == "red"
    fired = answer("fired.json")
    assert (fired["value"], fired["limit"]) == (18.4, 12.0)
    assert "18.4" in fired["explanation"]
    assert fired["action_plan"]
    assert answer("acknowledged.json")["state"] == "acknowledged"
    assert (answer("incident.json")["state"], answer("incident.json")["how"]) == ("resolved", "auto")
    actions = {change["action"] for change in answer("history.json")["items"]}
    assert {"registered", "bound", "opened", "acknowledged", "commented", "resolved"} <= actions

    secret = answer("channel.json")["config"]["secret"]
    about = [entry for message in receiver.received for entry in verified(secret, message) if entry["incident"] == answer("incident.json")["number"]]
    assert [entry["kind"] for entry in about] == ["opened", "resolved"]
    assert about[0]["value"] == 18.4
    assert about[0]["cost_per_day"] == "312000.00"
    assert about[0]["action_plan"]
    assert len({message.headers["webhook-id"] for message in receiver.received}) == len(receiver.received)


def verified(secret: str, message: object) -> list[dict]:
    """The incidents of a message whose signature is right."""
    return Webhook(secret).verify(message.body, message.headers)["data"]["incidents"]  # raises when it is wrong


def await_messages(receiver: Receiver, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(receiver.received) < count and time.monotonic() < deadline:
        time.sleep(0.05)
