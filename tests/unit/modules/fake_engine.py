"""Stands in for docker and Compose: containers of one service, which are lines of a JSON file.

$FAKE_ENGINE is a directory:

containers.json   the containers, by their number, as `docker inspect` describes them
calls             what was asked for, a line each
config.json       the project, as `docker compose config` shows it
becomes           what a started container's health becomes: healthy, unhealthy, exited
becomes-<number>  the same, of one container
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

DIRECTORY = Path(os.environ["FAKE_ENGINE"])
FILE = DIRECTORY / "containers.json"


def main() -> None:
    arguments = sys.argv[1:]
    with (DIRECTORY / "calls").open("a") as calls:
        calls.write(" ".join(arguments) + "\n")
    containers = json.loads(FILE.read_text())
    if arguments[0] == "compose":
        compose(arguments, containers)
    elif arguments[0] == "ps":
        service = [a.rpartition("=")[2] for a in arguments if ".service=" in a]
        print(
            *[
                number
                for number, facts in containers.items()
                if not service
                or facts["Config"]["Labels"]["com.docker.compose.service"] == service[0]
            ],
            sep="\n",
        )
    elif arguments[:2] == ["container", "inspect"]:
        found = [
            facts
            for number, facts in containers.items()
            if number in arguments or facts["Name"].lstrip("/") in arguments
        ]
        print(json.dumps(found))
        if len(found) < len(arguments) - 2:
            sys.exit("Error response from daemon: No such container: x")
    elif arguments[0] == "image":
        print("sha256:image")
    elif arguments[0] in ("start", "restart"):
        begin(containers[arguments[1]])
    elif arguments[0] == "stop":
        containers[arguments[1]]["State"] |= {"Running": False, "Status": "exited"}
    elif arguments[0] == "rm":
        del containers[arguments[-1]]
    elif arguments[0] == "rename":
        containers[arguments[1]]["Name"] = f"/{arguments[2]}"
    elif arguments[0] == "exec":
        read(arguments, containers[arguments[3]])
    elif arguments[0] == "logs":
        print("the last line")
    FILE.write_text(json.dumps(containers))


def begin(facts: dict[str, Any]) -> None:
    own = DIRECTORY / f"becomes-{facts['Id']}"
    becomes = (own if own.exists() else DIRECTORY / "becomes").read_text()
    state = {"Running": True, "Status": "running", "ExitCode": 0}
    if becomes == "exited":
        state = {"Running": False, "Status": "exited", "ExitCode": 137, "OOMKilled": True}
    facts["State"] = {**state, "Health": {"Status": becomes, "Log": [{"Output": "no database"}]}}


def read(arguments: list[str], facts: dict[str, Any]) -> None:
    """httpd -t: the file is where the container sees it."""
    mount = facts["Mounts"][0]
    file = Path(arguments[-1].replace(mount["Destination"], mount["Source"], 1))
    if "NoSuchDirective" in file.read_text():
        sys.exit("Syntax error on line 1: Invalid command 'NoSuchDirective'")


def compose(arguments: list[str], containers: dict[str, Any]) -> None:
    config = json.loads((DIRECTORY / "config.json").read_text())
    if "config" in arguments and "json" in arguments:
        print(json.dumps(config))
    elif "config" in arguments:
        for name in config["services"]:
            print(name, config["x-hash"])
    elif "up" in arguments:
        service = arguments[-1]
        number = f"c{len(containers) + 1}"
        if "--scale" not in arguments:
            containers.clear()
        facts = {
            "Id": number,
            "Name": f"/shop-{service}-{len(containers) + 1}",
            "Created": f"2026-01-01T00:00:0{len(containers)}Z",
            "RestartCount": 0,
            "Config": {
                "Image": "shop:1",
                "Labels": {
                    "com.docker.compose.service": service,
                    "com.docker.compose.config-hash": config["x-hash"],
                    "com.docker.compose.image": "sha256:image",
                },
            },
            "HostConfig": {"Memory": 64 * 2**20},
            "State": {"Running": False, "Status": "created", "ExitCode": 0},
            "NetworkSettings": {
                "Networks": {"front": {"IPAddress": "127.0.0.9", "Aliases": [f"shop-{service}"]}}
            },
        }
        containers[number] = facts
        if "--no-start" not in arguments:
            begin(facts)


main()
