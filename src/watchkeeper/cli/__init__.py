"""The command line: starts the others, and does what an administrator does without a browser. Django is loaded inside each command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Watchkeeper keeps watch over machine-learning models after they go to production."
)
api_keys = typer.Typer(no_args_is_help=True, help="API keys for people and service accounts.")
models = typer.Typer(no_args_is_help=True, help="Registered models.")
history = typer.Typer(no_args_is_help=True, help="The change log.")
app.add_typer(api_keys, name="api-key")
app.add_typer(models, name="model")
app.add_typer(history, name="history")

out, err = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False, soft_wrap=True)
Data = Annotated[Path | None, typer.Option("--data", help="Folder of everything this installation keeps (or WATCHKEEPER_DATA).")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")]
Processes = Annotated[int, typer.Option(min=1, max=64, help="Web processes.")]


def use_folder(data: Path | None) -> Path:
    """Point every later import at the data folder, and set Django up."""
    if data:
        os.environ["WATCHKEEPER_DATA"] = str(data)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "watchkeeper.web.settings")
    import django  # only now: the settings read the folder

    from watchkeeper.cli.logs import set_up_logs
    from watchkeeper.core.settings import settings

    set_up_logs()
    django.setup()
    return settings().data


def use_installation(data: Path | None) -> Path:
    """The same for a folder that must be set up already."""
    folder = use_folder(data)
    from watchkeeper.cli.founding import check_schema

    check_schema(folder)
    return folder


@app.command()
def up(data: Data = None, port: Port = 8000, host: Host = "127.0.0.1", processes: Processes = 1) -> None:
    """Web and worker together on this machine; prints the address and, the first time, a one-time sign-in link."""
    from watchkeeper.cli.running import check_port, serve_all

    check_port(host, port)
    folder = use_folder(data)
    from watchkeeper.cli.founding import migrate, welcome

    migrate()
    welcome(f"http://{host}:{port}", folder)
    raise SystemExit(serve_all(host=host, port=port, processes=processes))


@app.command()
def web(data: Data = None, port: Port = 8000, host: Host = "127.0.0.1", processes: Processes = 1) -> None:
    """Web processes alone, for more machines with a PostgreSQL database."""
    from watchkeeper.cli.running import check_port, web_command

    check_port(host, port)
    use_folder(data)
    os.execv(sys.executable, web_command(host=host, port=port, processes=processes))  # noqa: S606 - our own command line


@app.command()
def worker(data: Data = None) -> None:
    """A worker alone. Any number may run."""
    use_folder(data)
    from watchkeeper.cli.running import run_worker

    run_worker()


@app.command()
def migrate(data: Data = None) -> None:
    """Bring the database to this version. `up` does it by itself."""
    use_folder(data)
    from watchkeeper.cli.founding import migrate as bring_up

    bring_up()
    out.print("The database is up to date.")


@app.command()
def demo(data: Data = Path(".demo"), port: Port = 8000, host: Host = "127.0.0.1", stay: bool = True, fresh: bool = False) -> None:
    """A real year of two real models, replayed through the real API, then live."""
    from watchkeeper.cli.demo import run_demo
    from watchkeeper.cli.running import check_port

    check_port(host, port)
    raise SystemExit(run_demo(Path(data or ".demo"), host=host, port=port, stay=stay, fresh=fresh))


@app.command()
def doctor(data: Data = None, settings: Annotated[bool, typer.Option("--settings", help="List all settings with their values.")] = False) -> None:
    """Check the installation: each finding has an id, a sentence and a hint."""
    use_folder(data)
    from watchkeeper.cli.doctor import examine, show_settings

    if settings:
        show_settings(out)
        return
    raise SystemExit(examine(out))


@app.command()
def evaluate(
    model: str, risk: Annotated[str, typer.Argument()] = "", data: Data = None, dry_run: Annotated[bool, typer.Option("--dry-run")] = False
) -> None:
    """Evaluate the risks of a model now and explain; with --dry-run nothing is written."""
    use_installation(data)
    from watchkeeper.cli.evaluating import evaluate_model

    raise SystemExit(evaluate_model(out, model=model, risk=risk, dry_run=dry_run))


@app.command()
def check(
    current: Annotated[Path, typer.Argument(help="Parquet or CSV file, or folder of Parquet files, to be judged.")],
    baseline: Annotated[Path, typer.Option("--baseline", help="The same of the training, or of a time that was good.")],
    html: Annotated[Path | None, typer.Option("--html", help="Write a report here: one file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    columns: Annotated[str, typer.Option(help="Only these columns: a,b.")] = "",
    ignore: Annotated[str, typer.Option(help="Not these columns: a,b.")] = "",
    timestamp: Annotated[str, typer.Option(help="Column with the time of a row: each day (UTC) is judged, the baseline's days tell the usual.")] = "",
    limit: Annotated[list[str] | None, typer.Option(help="NAME=NUMBER: psi, distance, alpha, nulls, unseen, outside; may be repeated.")] = None,
    together: Annotated[bool, typer.Option("--together", help="Also try to tell the rows of the two apart, by all columns at once.")] = False,
) -> None:
    """Compare a file with a baseline, without a server: columns, drift, missing values, new categories, ranges, units.

    Exit code: 0 nothing found, 1 something found, 2 could not be judged (a file cannot be read, has no rows or too few, or an option is wrong).
    """
    from watchkeeper.cli.check import run_check

    raise SystemExit(
        run_check(
            out,
            err,
            current=current,
            baseline=baseline,
            html=html,
            as_json=as_json,
            columns=columns,
            ignore=ignore,
            timestamp=timestamp,
            limits=limit or (),
            together=together,
        )
    )


@app.command()
def backup(to: Path, data: Data = None) -> None:
    """A consistent copy of the control store (SQLite) and of the log, while everything runs."""
    use_installation(data)
    from watchkeeper.cli.backups import back_up

    out.print(f"Backed up to {back_up(to)}.")


@app.command()
def restore(source: Path, data: Data = None) -> None:
    """Put a backup into an empty data folder."""
    from watchkeeper.cli.backups import restore as put_back
    from watchkeeper.core.settings import data_folder

    put_back(source, data or data_folder())
    out.print("Restored. Start it with `watchkeeper up`.")


@api_keys.command("create")
def create_key(
    role: Annotated[str, typer.Option(help="viewer, maintainer, validator, risk_officer or administrator (admin).")] = "viewer",
    name: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    unit: Annotated[str, typer.Option(help="Unit the role holds on: id or path; default the company.")] = "",
    data: Data = None,
) -> None:
    """Create a service account with a role and print its key, alone."""
    use_folder(data)
    from watchkeeper.cli.founding import service_key

    print(service_key(role=role, name=name, unit=unit))  # noqa: T201 - scripts read it


@app.command("sign-in")
def sign_in(email: Annotated[str, typer.Argument(help="Default: the first administrator.")] = "", data: Data = None) -> None:
    """Print a one-time sign-in link, for somebody who lost access."""
    use_installation(data)
    from watchkeeper.cli.founding import sign_in_link
    from watchkeeper.core.settings import settings

    print(sign_in_link(settings().base_url, email))  # noqa: T201 - scripts read it


@models.command("register")
def register_model(name: str, unit: Annotated[str, typer.Option(help="Unit by path; created where missing.")] = "", data: Data = None) -> None:
    """Register a model and print its id and token."""
    use_folder(data)
    from watchkeeper.cli.founding import register

    id, token = register(name, unit)
    out.print(f"id     {id}\ntoken  {token}")


@history.command("verify")
def verify(
    data: Data = None,
    anchor: Annotated[list[str] | None, typer.Option(help="NUMBER:HASH of a record, as you wrote it down; may be repeated.")] = None,
) -> None:
    """Walk the hash chain of the change log, compare it with its anchors, and name the first bad record."""
    use_installation(data)
    from watchkeeper.core.settings import settings
    from watchkeeper.history.anchors import kept_anchors, parse_anchor
    from watchkeeper.history.services import verify_history

    anchors = [*kept_anchors(settings().data), *map(parse_anchor, anchor or ())]
    result = verify_history(anchors)
    if result.bad_number is not None:
        err.print(f"Record {result.bad_number}: {result.what}. The {result.sealed} records before it are intact.")
        raise SystemExit(1)
    out.print(f"{result.sealed} records intact, {result.unsealed} not yet sealed, {len(anchors)} anchors match.")


def main() -> None:
    """Entry point: our own errors are sentences, not tracebacks."""
    from watchkeeper.core.errors import WatchkeeperError

    code: str | int | None = 0
    try:
        app()
    except SystemExit as end:
        code = end.code
    except WatchkeeperError as problem:
        err.print(f"{problem.detail} {problem.remedy}".strip())
        code = 1
    if "duckdb" in sys.modules and isinstance(code, int):  # taken down with Python, it prints forty lines about leaked types
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)
