"""The commands; thin. Data goes to stdout, talk to stderr.

Exit 0 done; 1 an expected error; 2 wrong usage; 130 interrupted. Nothing but typer is imported before a command runs.
"""

from __future__ import annotations

import io
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Rings customers whose contract is about to end; what became of each call stands in Bitrix24, once.",
)


class Language(StrEnum):
    ru = "ru"
    en = "en"
    es = "es"


Json = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]
OneCampaign = Annotated[Optional[str], typer.Argument(help="The campaign's name; all campaigns without it.")]  # noqa: UP045
Price = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(min=0, max=1_000, help="What a minute of a call costs; without it as limits.money says."),
]


Who = Annotated[list[str], typer.Argument(help="A number, or a card: +79161234567, contact 15, deal 7.")]
Region = Annotated[str, typer.Option(help="Of a number without a country code.")]


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("bitrix24-dialer"))
        raise typer.Exit


@app.callback()
def dialer(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    people: Annotated[int, typer.Option(min=1, max=2_000, help="How many people to ring.")] = 200,
    json: Json = False,
) -> None:
    """Ring 200 made-up people on this machine. No account is needed.

    A portal and a telephone company run on loopback; all else is what `run` runs. It takes about a minute.
    """
    from dialer.commands import demo

    _print_to_stdout()
    raise typer.Exit(demo.demo(people=people, json=json))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = Path(),
    language: Annotated[
        Optional[Language],  # noqa: UP045
        typer.Option(help="Of the words; without it the terminal's (LANG), or Russian."),
    ] = None,
    bitrix24: Annotated[
        bool, typer.Option("--bitrix24", help="Make on the portal what the campaigns here need, and no folder.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Write a folder to start from. Nothing there is overwritten.

    A campaign, its words, and an .env with a fresh secret. With --bitrix24, later and inside that folder: show which
    fields the campaigns name and the portal lacks (contract's end, do not call, time zone), and an application's
    telephone line; ask; and make them there. What is there already is left as it is. Exit 1 where anything is lacking.
    """
    from dialer.commands import init, preparing

    def sure(question: str) -> None:
        if not yes:
            typer.confirm(question, abort=True, err=True)

    if not bitrix24:
        init.init(folder, language)
        return
    if folder != Path() or language is not None:
        raise typer.BadParameter("--bitrix24 goes with no folder and no language: run it inside the folder")
    raise typer.Exit(preparing.prepare(_settings(), sure=sure))


@app.command()
def check(
    online: Annotated[bool, typer.Option(help="Also ask Bitrix24 for the fields the campaigns name.")] = True,
    json: Json = False,
) -> None:
    """Say what is wrong in the files, and where. Nobody is rung.

    Campaign files and templates, and whether they are in force; with credentials also the fields of the portal that
    they name. Exit 1 where anything is wrong.
    """
    from dialer.commands import check

    raise typer.Exit(check.check(_settings(), online=online, json=json))


@app.command()
def schema() -> None:
    """Print the JSON Schema of campaign files, for editors.

    `init` writes it beside the campaigns, which name it in their first line: so an editor that knows YAML completes
    keys and values and marks what is wrong. After an upgrade: dialer schema > campaigns/campaign.schema.json
    """
    from dialer.campaign.schema import schema_text

    sys.stdout.write(schema_text())


@app.command()
def preview(
    campaign: Annotated[str, typer.Argument(help="The campaign's name.")],
    card: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of a real person, for example 'contact 15'; somebody made up without it."),
    ] = None,
    json: Json = False,
) -> None:
    """Show what is heard and what the manager reads. Nobody is rung.

    Every path of the menu, with seconds; what a machine hears; call record and note for each answer and outcome.
    """
    from dialer.commands import preview

    raise typer.Exit(preview.preview(_settings(), campaign, card, json=json))


@app.command()
def plan(
    campaign: OneCampaign = None,
    day: Annotated[
        Optional[datetime],  # noqa: UP045
        typer.Option(formats=["%Y-%m-%d"], help="Another day, to which the days before are played; without it today."),
    ] = None,
    a_minute: Price = None,
    json: Json = False,
) -> None:
    """Say who would be rung on a day, when and in which order; who not, and why.

    With the lines in use, the end, the cost, and what has changed since the last plan of that day. Bitrix24 is read;
    nothing is dialed, and nothing is written but that last plan, beside the database.
    """
    from dialer.commands import plan

    chosen = None if day is None else day.date()
    raise typer.Exit(plan.plan(_settings(), campaign, day=chosen, a_minute=a_minute, json=json))


@app.command()
def simulate(
    campaign: OneCampaign = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many, from today.")] = 7,
    answer_rate: Annotated[float, typer.Option(min=0, max=1, help="Of the calls, how many a person answers.")] = 0.4,
    talk: Annotated[int, typer.Option(min=1, max=3_600, help="How many seconds a conversation lasts.")] = 45,
    seed: Annotated[int, typer.Option(help="The same gives the same days, another gives other luck.")] = 1,
    a_minute: Price = None,
    json: Json = False,
) -> None:
    """Play the next days through, with retries: calls, lines, end and cost.

    The same rules decide as in the service. Bitrix24 is read once; nothing is dialed or written.
    """
    from datetime import timedelta

    from dialer.commands import simulate
    from dialer.foresight.answers import Assumed

    assumed = Assumed(answer_rate, timedelta(seconds=talk), seed)
    code = simulate.simulate(_settings(), campaign, many=days, assumed=assumed, a_minute=a_minute, json=json)
    raise typer.Exit(code)


@app.command()
def run(campaign: OneCampaign = None, json: Json = False) -> None:
    """Ring today's people, in the foreground, until all is written.

    Reads Bitrix24 whatever the hour of the daily reading, rings within the calling windows, and ends when nothing is
    left to do today. Ctrl-C stops it politely; the next run goes on where it stopped.
    """
    from dialer.commands import running

    raise typer.Exit(running.run(_settings(), campaign, json=json))


@app.command()
def serve() -> None:
    """Run for good: read daily, ring, listen, write back.

    SIGTERM or Ctrl-C: nobody new is rung, live calls are waited for, at most DIALER_DRAIN seconds. A second one ends it
    at once.
    """
    from dialer.commands import running

    raise typer.Exit(running.serve(_settings()))


@app.command()
def call(
    number: Annotated[str, typer.Argument(help="Whom to ring, in international form: +7916…")],
    campaign: Annotated[Optional[str], typer.Option(help="Whose words; needed where there are several.")] = None,  # noqa: UP045
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="What the words call the person; one of the language's without it."),
    ] = None,
    json: Json = False,
) -> None:
    """Ring one number as a test, under all the usual rules.

    Permission, window, caps and pace hold as for everybody. Nothing of it is written to Bitrix24.
    """
    from dialer.commands import calling

    raise typer.Exit(calling.call(_settings(), number, campaign, name=name, json=json))


@app.command()
def status(
    watch: Annotated[bool, typer.Option("--watch", help="Again every two seconds, until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Show what is planned, live and owed, and what is waited for."""
    from dialer.commands import status

    status.status(_settings(), json=json, watch=watch)


@app.command()
def explain(who: Who, region: Region = "RU", json: Json = False) -> None:
    """Say why one person was rung, or was not.

    Every rule that is asked, and its verdict now; what was decided before; every attempt and entry. Of a card that no
    reading has brought, Bitrix24 is asked. Exit 1 where nobody knows the person.
    """
    from dialer.commands import explain

    raise typer.Exit(explain.explain(_settings(), who, region=region, json=json))


@app.command()
def pause(
    campaign: OneCampaign = None,
    reason: Annotated[str, typer.Option(help="Shown by `status`.")] = "",
) -> None:
    """Ring nobody new, until `resume`.

    One campaign, or everything. What rings or talks goes on; what the telephone company has taken but does not ring
    yet is ended, and rung after the pause where it was still in its queue. Reading, planning and writing back go on.
    """
    from dialer.commands import pausing

    pausing.pause(_settings(), campaign, reason=reason)


@app.command()
def resume(campaign: OneCampaign = None) -> None:
    """End a pause: one campaign's, or that of everything.

    Whoever has waited is asked for permission anew, at this hour.
    """
    from dialer.commands import pausing

    pausing.resume(_settings(), campaign)


@app.command()
def retry(campaign: OneCampaign = None) -> None:
    """Send again what was set aside.

    Entries that the portal refused, or could not take for a day: looked for first, so that none stands twice. A service
    must run to write them.
    """
    from dialer.commands import retry

    retry.retry(_settings(), campaign)


@app.command()
def suppress(
    number: Annotated[str, typer.Argument(help="Never to be dialed again, in any campaign.")],
    reason: Annotated[str, typer.Option(help="Kept with it.")] = "asked not to be called",
    region: Region = "RU",
) -> None:
    """Never ring this number again.

    At once and in every campaign: what is planned is cancelled, what is live is ended.
    """
    from dialer.commands import suppress

    suppress.suppress(_settings(), number, reason=reason, region=region)


@app.command()
def token(json: Json = False) -> None:
    """Make a token for `/metrics`, and the line for .env that lets it in.

    The token is shown once; the line holds its hash. Nothing is written.
    """
    from dialer.commands import token

    token.token(json=json)


@app.command()
def erase(
    who: Who,
    reason: Annotated[str, typer.Option(help="Kept with the numbers.")] = "asked to be forgotten",
    forget_number: Annotated[
        bool, typer.Option("--forget-number", help="Forget also that the numbers must not be called.")
    ] = False,
    region: Region = "RU",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete what is known of a person, who asks for it.

    Names, answers and texts. Two things stay, or the next reading would have them rung again: their numbers, which are
    never called, and bare of all else for which contract's end they were rung, and when. A number that several cards
    share erases them all, and is the only number kept from being called: name the card to keep all of the person's.
    Erase them in Bitrix24, too, and before.
    """
    from dialer.commands import erase

    def sure(question: str) -> None:
        if not yes:
            typer.confirm(question, abort=True, err=True)

    code = erase.erase(_settings(), who, region=region, reason=reason, forget_number=forget_number, sure=sure)
    raise typer.Exit(code)


@app.command()
def migrate(
    restored: Annotated[
        bool, typer.Option("--restored", help="The database comes from a backup: begin anew, and ring nobody yet.")
    ] = False,
) -> None:
    """Bring the database up to date; `run`, `serve` and `call` do it too.

    With --restored the installation gets a new name, so that no reference is used twice; what was owed is looked for
    before it is written; and nobody is rung until `resume`. Refused while a service runs.
    """
    from dialer.commands import migrate

    migrate.migrate(_settings(), restored=restored)


@app.command()
def doctor(json: Json = False) -> None:
    """Try all that a call needs; each trouble with its remedy.

    Versions, files, database, clocks, portal, rights, fields, account, balance, caller IDs, countries, webhooks. Nobody
    is rung, and nothing is written. Exit 1 where anything is wrong.
    """
    from dialer.commands import doctor

    raise typer.Exit(doctor.doctor(_settings(), json=json))


def main() -> None:
    from dialer.ending import end_process

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal without our letters shows others; a log that cannot be written would stop the work
            stream.reconfigure(errors="replace")
    end_process(_run())


def _run() -> int:
    from dialer.checking.quoting import shown
    from dialer.errors import CampaignError, DialerError
    from dialer.secrecy import without_secrets

    before = sys.stdout
    try:
        app()
    except SystemExit as end:
        if sys.stdout is not before:
            return 0  # typer has found that nobody reads it any more
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except CampaignError as error:
        print(without_secrets("\n".join(map(shown, error.mistakes))), file=sys.stderr)
        return 1
    except DialerError as error:
        print(without_secrets(str(error)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    return 0


def _settings() -> Any:
    from dialer import log
    from dialer.settings import read_settings

    settings = read_settings()
    log.set_up(json=settings.log_json)
    return settings


def _print_to_stdout() -> None:
    from dialer import log

    log.set_up(level="error")


if __name__ == "__main__":
    main()
