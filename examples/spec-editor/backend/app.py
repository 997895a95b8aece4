"""Forms made from the specs of a repository; submitting one starts its workflow at GitHub."""

import os

from flask import Flask, abort, jsonify, redirect, render_template, request, url_for

from github import GitHub, GitHubError, State
from specs import Specs

github = GitHub(
    api=os.environ.get("GITHUB_API_URL") or "https://api.github.com",
    token=os.environ.get("GH_TOKEN", ""),
    repository=os.environ.get("GH_REPO") or "trakrf/action-spec",
    branch=os.environ.get("WORKFLOW_BRANCH") or "main",
)
specs = Specs(github, os.environ.get("SPECS_PATH") or "demo/infra")
state = State(github)
app = Flask(__name__)
app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}


@app.context_processor
def about():
    """What every page shows."""
    return {"repository": github.repository, "branch": github.branch, "release": os.environ.get("LANDFALL_RELEASE", "")}


@app.before_request
def only_from_own_pages():
    """A form of another site must not start workflows with our token."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(403)


@app.get("/health")
def health():
    """Whether GitHub can be worked with; 503 where the token is missing or not accepted."""
    status, said = state.now()
    return jsonify(said), status


@app.get("/")
def index():
    """All specs."""
    found, broken = specs.all()
    return render_template("index.html", specs=found.values(), broken=broken)


def spec_named(name):
    """A spec, or the page that says there is none."""
    found, _ = specs.all()
    return found.get(name) or abort(404)


@app.get("/specs/<name>")
def show(name):
    """A spec's form."""
    spec = spec_named(name)
    values = {item.name: item.default for item in spec.fields}
    return render_template("form.html", spec=spec, values=values, wrong={})


@app.post("/specs/<name>")
def submit(name):
    """Starts the workflow, or shows the form again with what is wrong."""
    spec = spec_named(name)
    inputs, wrong = spec.read(request.form)
    if wrong:
        return render_template("form.html", spec=spec, values=request.form, wrong=wrong), 422
    github.dispatch(spec.workflow, inputs)
    app.logger.info("started %s of %s", spec.workflow, github.repository)
    return redirect(url_for("runs", name=name, started=1), code=303)


@app.get("/specs/<name>/runs")
def runs(name):
    """The latest runs of a spec's workflow."""
    spec = spec_named(name)
    return render_template("runs.html", spec=spec, runs=github.runs(spec.workflow), started="started" in request.args)


@app.errorhandler(GitHubError)
def github_failed(error):
    """GitHub's trouble in plain words, not as a stack trace."""
    app.logger.warning("%s: %s", error.kind, error)
    return render_template("trouble.html", title="GitHub can't be worked with", message=str(error)), 502


@app.errorhandler(404)
def not_found(_):
    """No such page."""
    return render_template("trouble.html", title="There is no such page", message="The spec may have been removed."), 404
