"""Routes in the shapes of GitHub's API, as many as are asked for, and the scratch cargo projects that are made of them.

Used by `route.py` and `compile.py`. The first routes are GitHub's own; further ones are the same shapes on resources with
combined names (`/billing-archive-repos/{owner}/{repo}/issues`), so that literals share their first bytes, as real ones do.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

# Methods, then the path; each method makes a route of its own.
SHAPES = """
GET /authorizations
GET,DELETE /applications/{client_id}/tokens/{access_token}
GET /events
GET /feeds
GET,POST /gists
GET /gists/{id}
POST,DELETE /gists/{id}/star
GET /gitignore/templates/{name}
GET /issues
GET /legacy/issues/search/{owner}/{repository}/{state}/{keyword}
POST /markdown/raw
GET /networks/{owner}/{repo}/events
GET,PUT /notifications
GET,PUT /notifications/threads/{id}/subscription
GET /organizations
GET,PATCH /orgs/{org}
GET /orgs/{org}/events
GET /orgs/{org}/issues
GET,DELETE /orgs/{org}/members/{user}
GET,PUT,DELETE /orgs/{org}/public_members/{user}
GET,POST /orgs/{org}/repos
GET,POST /orgs/{org}/teams
GET /rate_limit
GET,PATCH,DELETE /repos/{owner}/{repo}
GET /repos/{owner}/{repo}/assignees/{assignee}
GET /repos/{owner}/{repo}/branches/{branch}
GET,PUT,DELETE /repos/{owner}/{repo}/collaborators/{user}
GET,DELETE /repos/{owner}/{repo}/comments/{id}
GET /repos/{owner}/{repo}/commits
GET,POST /repos/{owner}/{repo}/commits/{sha}/comments
GET /repos/{owner}/{repo}/compare/{base}/{head}
GET,PUT /repos/{owner}/{repo}/contents/{*path}
GET,POST /repos/{owner}/{repo}/deployments/{id}/statuses
GET,POST /repos/{owner}/{repo}/forks
GET,POST /repos/{owner}/{repo}/git/blobs
GET /repos/{owner}/{repo}/git/blobs/{sha}
GET,POST /repos/{owner}/{repo}/git/commits
GET,POST /repos/{owner}/{repo}/git/refs
GET /repos/{owner}/{repo}/git/trees/{sha}
GET,PATCH,DELETE /repos/{owner}/{repo}/hooks/{id}
POST /repos/{owner}/{repo}/hooks/{id}/tests
GET,POST /repos/{owner}/{repo}/issues
GET,PATCH /repos/{owner}/{repo}/issues/{number}
GET,POST /repos/{owner}/{repo}/issues/{number}/comments
GET,POST,PUT /repos/{owner}/{repo}/issues/{number}/labels
DELETE /repos/{owner}/{repo}/issues/{number}/labels/{name}
GET /repos/{owner}/{repo}/issues/comments/{id}
GET /repos/{owner}/{repo}/issues/events/{id}
GET,DELETE /repos/{owner}/{repo}/keys/{id}
GET,POST /repos/{owner}/{repo}/labels
POST /repos/{owner}/{repo}/merges
GET,PATCH,DELETE /repos/{owner}/{repo}/milestones/{number}
GET,PATCH /repos/{owner}/{repo}/pulls/{number}
GET,POST /repos/{owner}/{repo}/pulls/{number}/comments
GET,PUT /repos/{owner}/{repo}/pulls/{number}/merge
GET,PATCH,DELETE /repos/{owner}/{repo}/releases/{id}
GET /repos/{owner}/{repo}/releases/{id}/assets
GET /repos/{owner}/{repo}/stats/commit_activity
GET /repos/{owner}/{repo}/stats/punch_card
GET,POST /repos/{owner}/{repo}/statuses/{ref}
GET,PUT,DELETE /repos/{owner}/{repo}/subscription
GET /search/repositories
GET /search/users
GET,PATCH,DELETE /teams/{id}
GET,PUT,DELETE /teams/{id}/members/{user}
GET,PUT,DELETE /teams/{id}/repos/{owner}/{repo}
GET,PATCH /user
GET,PUT,DELETE /user/following/{user}
GET,POST /user/keys
GET,PUT,DELETE /user/starred/{owner}/{repo}
GET /users/{user}
GET /users/{user}/events/orgs/{org}
GET /users/{user}/following/{target_user}
GET /users/{user}/received_events/public
"""

AREAS = "billing search audit partner mobile internal reporting identity shipping inventory".split()
KINDS = "archive draft shared legacy regional staging public private".split()


@dataclasses.dataclass(frozen=True)
class Route:
    """One route: a method, a path as Prox and matchit both write it, and the host it is on, if any."""

    method: str
    path: str
    host: str = ""

    def segments(self):
        """The segments of the path."""
        return self.path[1:].split("/")


def shapes():
    """The routes of the table above."""
    for line in SHAPES.split("\n"):
        if line:
            methods, path = line.split(" ")
            yield from (Route(method, path) for method in methods.split(","))


def routes(count):
    """So many routes on no host of their own."""
    own = list(shapes())
    if count < len(own):
        return [own[place * len(own) // count] for place in range(count)]
    names = [""] + [f"{area}-{kind}-" for area in AREAS for kind in KINDS]
    found = [Route(route.method, f"/{name}{route.path[1:]}") for name in names for route in own]
    if count > len(found):
        raise SystemExit(f"there are names for {len(found)} routes only")
    return found[:count]


def siblings(count):
    """So many routes that differ in their second segment."""
    resources = sorted({segment for route in shapes() for segment in route.segments() if "{" not in segment})
    names = [f"{area}-{kind}-{resource}" for area in AREAS for kind in KINDS for resource in resources]
    return [Route("GET", f"/v1/{name}/{{id}}") for name in names[:: len(names) // count][:count]]


def on_hosts(count, hosts):
    """So many routes, dealt out to so many hosts in turn, each of which has shapes of every kind."""
    return [
        dataclasses.replace(route, host=f"{AREAS[place % 10]}-{place % hosts}.api.example.com")
        for place, route in enumerate(routes(count))
    ]


def value(name, number):
    """A value of the parameter `name` that no literal of a route has."""
    if name.startswith("*"):
        return f"src/module{number}/main.rs"
    if name == "sha":
        return f"{number * 2654435761 % 2**64:040x}"
    if name in ("id", "number"):
        return str(1000 + number)
    return f"{name}-{number}"


def request_path(route, number):
    """A path that the route takes."""
    return re.sub(r"{(.+?)}", lambda found: value(found[1], number), route.path)


class Project:
    """A cargo project outside of any workspace, with a path dependency on Prox and the versions of this repository."""

    def __init__(self, name, prox, dependencies="", profile=""):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
        self.directory = target / "scratch" / name
        self.source = self.directory / "src"
        shutil.rmtree(self.directory, ignore_errors=True)
        self.source.mkdir(parents=True)
        shutil.copy(prox.parent / "Cargo.lock", self.directory)
        # Built beside this repository's own programs, which may have other features of the same crates.
        self.environment = os.environ | {"CARGO_TARGET_DIR": str(target / "scratch" / "target")}
        (self.directory / "Cargo.toml").write_text(
            f'[package]\nname = "{name}"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n\n{profile}\n'
            f'[dependencies]\nprox = {{ path = "{prox}" }}\n{dependencies}\n'
        )

    def cargo(self, *arguments, **environment):
        """Runs cargo there, and gives back what it printed on stderr."""
        done = subprocess.run(
            ["cargo", *arguments], cwd=self.directory, env=self.environment | environment, text=True, capture_output=True
        )
        if done.returncode != 0:
            raise SystemExit(f"cargo {' '.join(arguments)} has failed in {self.directory}:\n{done.stderr[-4000:]}")
        return done.stderr
