"""Cases of LiteLLM's own client and command line, one JSON line each."""

import json
import os
import subprocess
import sys
import time

import requests
from litellm.proxy.client import Client, UsersManagementClient

URL = os.environ["GATEWAY_URL"]
MASTER = os.environ["MASTER_KEY"]
PROMPT = os.environ["PROMPT"]
MODEL = os.environ["MODEL"]
UPSTREAM = json.loads(os.environ["UPSTREAM"])

client = Client(base_url=URL, api_key=MASTER)
users = UsersManagementClient(base_url=URL, api_key=MASTER)


def said(answer):
    return answer["choices"][0]["message"]["content"]


def ask(key, model=MODEL):
    api = Client(base_url=URL, api_key=key)
    return api.chat.completions(model=model, messages=[{"role": "user", "content": PROMPT}])


def status_of(call, *arguments):
    """The status of a call that is refused; 200 for one that is not."""
    try:
        call(*arguments)
        return 200
    except requests.exceptions.HTTPError as error:
        return error.response.status_code
    except Exception as error:  # The client's own classes hold the one of requests.
        inner = getattr(error, "orig_exception", None)
        return inner.response.status_code if inner is not None else type(error).__name__


def http(method, path, **more):
    return client.http.request(method, path, **more)


def keys():
    made = client.keys.generate(models=[MODEL], duration="1d", key_alias="python-key", spend=0)
    listed = client.keys.list(key_alias="python-key", return_full_object=True, size=100)
    info = client.keys.info(made["key"])
    client.keys.update(key=made["key"], key_alias="renamed")
    renamed = client.keys.info(made["token"])["info"]["key_alias"]
    answer = said(ask(made["key"]))
    foreign = status_of(ask, made["key"], "no-such-model")
    deleted = client.keys.delete(keys=[made["key"]])
    return {
        "prefix": made["key"][:3],
        "listed": [row["key_alias"] for row in listed["keys"]],
        "counted": listed["total_count"],
        "models": info["info"]["models"],
        "renamed": renamed,
        "answer": answer,
        "foreign": foreign,
        "deleted": deleted["deleted_keys"] == [made["key"]],
        "after": status_of(ask, made["key"]),
    }


def user_rows():
    made = users.create_user(
        {"user_id": "python-user", "user_email": "py@example.com", "user_role": "internal_user"}
    )
    rows = users.list_users({"page_size": 100})
    info = users.get_user("python-user")
    flat = users.get_user_v2("python-user")
    answer = said(ask(made["key"]))
    gone = users.delete_user(["python-user"])
    try:
        users.get_user("python-user")
        missing = "found"
    except Exception as error:
        missing = type(error).__name__
    return {
        "listed": [row["user_id"] for row in rows if row["user_id"] == "python-user"],
        "info": [info["user_info"]["user_role"], len(info["keys"])],
        "flat": flat["user_email"],
        "answer": answer,
        "gone": gone,
        "missing": missing,
    }


def teams():
    made = http("POST", "/team/new", json={"team_alias": "python-team", "rpm_limit": 0})
    listed = client.teams.list()
    paged = client.teams.list_v2(team_alias="python-team")
    key = client.keys.generate(team_id=made["team_id"])
    limited = status_of(ask, key["key"])
    http("POST", "/team/update", json={"team_id": made["team_id"], "rpm_limit": 100})
    answer = said(ask(key["key"]))
    http("POST", "/team/delete", json={"team_ids": [made["team_id"]]})
    return {
        "listed": [team["team_alias"] for team in listed],
        "paged": [paged["total"], paged["teams"][0]["team_id"] == made["team_id"]],
        "available": client.teams.get_available(),
        "limited": limited,
        "answer": answer,
        "after": status_of(ask, key["key"]),
    }


def models():
    made = client.models.new(
        model_name="python-model", model_params=UPSTREAM, model_info={"id": "python-id"}
    )
    names = [row["id"] for row in client.models.list()]
    found = client.models.get(model_id="python-id")
    answer = said(ask(MASTER, "python-model"))
    client.models.update(model_id="python-id", model_params={"rpm": 7})
    again = client.models.get(model_name="python-model")
    groups = [row["model_group"] for row in client.model_groups.info()]
    client.models.delete(model_id="python-id")
    return {
        "made": made["model_id"],
        "listed": "python-model" in names,
        "found": [found["model_name"], found["model_info"]["db_model"]],
        "answer": answer,
        "rpm": again["litellm_params"].get("rpm"),
        "secret": "api_key" in json.dumps([found, again, made]),
        "group": "python-model" in groups,
        "gone": status_of(client.models.delete, "python-id"),
    }


def credentials():
    client.credentials.create(
        credential_name="python-credential",
        credential_info={"description": "of a test"},
        credential_values={"api_key": "sk-upstream-of-a-test", "api_base": "https://example.com"},
    )
    listed = client.credentials.list()["credentials"]
    client.credentials.delete(credential_name="python-credential")
    left = client.credentials.list()["credentials"]
    return {
        "listed": [row["credential_name"] for row in listed],
        "masked": "sk-upstream-of-a-test" not in json.dumps(listed),
        "left": left,
    }


def budgets():
    http("POST", "/budget/new", json={"budget_id": "python-budget", "max_budget": 0.0000001})
    key = client.keys.generate(budget_id="python-budget")
    first = status_of(ask, key["key"])
    second = status_of(ask, key["key"])
    info = http("POST", "/budget/info", json={"budgets": ["python-budget"]})
    client.keys.delete(keys=[key["key"]])
    http("POST", "/budget/delete", json={"id": "python-budget"})
    return {"calls": [first, second], "info": info[0]["max_budget"]}


def spend():
    key = client.keys.generate(key_alias="spender")
    ask(key["key"])
    deadline = time.monotonic() + 30
    while client.keys.info(key["key"])["info"]["spend"] == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    logs = http("GET", "/spend/logs", params={"api_key": key["key"]})
    path = "/user/daily/activity"
    activity = http("GET", path, params={"start_date": today, "end_date": today})
    return {
        "spent": client.keys.info(key["key"])["info"]["spend"] > 0,
        "logs": [[row["model_group"], row["spend"] > 0] for row in logs],
        "requests": activity["metadata"]["total_api_requests"] > 0,
        "global": http("GET", "/global/spend")["spend"] > 0,
    }


def chat():
    answer = ask(MASTER)
    chunks = client.chat.completions_stream(
        model=MODEL, messages=[{"role": "user", "content": PROMPT}]
    )
    streamed = "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
    )
    return {"answer": said(answer), "streamed": streamed}


def health():
    return {"ready": http("GET", "/health/readiness")["status"]}


def wrong_key():
    try:
        Client(base_url=URL, api_key="sk-of-nobody-at-all").keys.list()
        return None
    except Exception as error:
        return type(error).__name__


def command(*arguments):
    """What the command line prints, or how it fails."""
    program = os.path.join(os.path.dirname(sys.executable), "lite")
    done = subprocess.run(
        [program, "--base-url", URL, "--api-key", MASTER, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise RuntimeError((done.stderr or done.stdout).strip()[-600:])
    return done.stdout


def command_line():
    made = json.loads(command("keys", "generate", "--key-alias", "cli-key", "--models", MODEL))
    listed = json.loads(command("keys", "list", "--return-full-object", "--format", "json"))
    created = json.loads(command("users", "create", "--email", "cli@example.com"))
    names = json.loads(command("models", "list", "--format", "json"))
    deleted = command("keys", "delete", "--keys", made["key"])
    return {
        "key": made["key"][:3],
        "listed": "cli-key" in json.dumps(listed),
        "user": created["user_email"],
        "models": MODEL in json.dumps(names),
        "deleted": made["key"] in deleted,
    }


CASES = [
    keys,
    user_rows,
    teams,
    models,
    credentials,
    budgets,
    spend,
    chat,
    health,
    wrong_key,
    command_line,
]


def report(case):
    try:
        line = {"case": case.__name__, "value": case()}
    except Exception as error:  # Each case tells how it failed.
        line = {"case": case.__name__, "error": {"type": type(error).__name__, "message": str(error)}}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    for one in CASES:
        report(one)
