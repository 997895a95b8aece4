//! A page for each rule: what it is, why it matters, what mends it.

use crate::finding::Rule;

const fn rule(name: &'static str, title: &'static str, text: &'static str) -> Rule {
    Rule { name, title, text }
}

/// All rules of `landfall image advise`, by name.
pub const RULES: &[Rule] = &[
    rule(
        "add-for-copy",
        "ADD where COPY would do",
        "`ADD` also unpacks archives and fetches addresses, so that a file of another name changes what is built.\n\n**What to do.** Write `COPY`. `--fix` does it where nothing is unpacked or fetched.",
    ),
    rule(
        "build-tools-left",
        "compilers and headers are left in the image",
        "What built the app isn't needed to run it. It is hundreds of megabytes that are sent at each deployment, has most of the vulnerabilities that scanners find, and serves whoever breaks in.\n\n**What to do.** Build in a stage of its own and copy what it made: `landfall render dockerfile` writes such a file.",
    ),
    rule(
        "context-not-ignored",
        "files go to the builder that no image needs",
        "The whole context is sent before a build begins, and `COPY . .` puts it into the image: the history of git, installed packages of another system, editors' files. It is slow, large, and every commit changes the layer.\n\n**What to do.** Name them in `.dockerignore`. `--fix` writes what is missing; the measured size is that of the files.",
    ),
    rule(
        "dependencies-after-sources",
        "a change of the sources installs all dependencies again",
        "A layer is used again only while everything before it is unchanged. Where the sources are copied before the dependencies are installed, each change of a line installs them again, and each deployment sends them again.\n\n**What to do.** Copy the files that name the dependencies, install, and copy the rest after that. `--fix` does it where the installation needs nothing else of the sources. What a one-line change rebuilds is measured before and after.",
    ),
    rule(
        "development-dependencies",
        "development dependencies are installed in the image",
        "Test runners, type checkers and bundlers aren't needed to run the app.\n\n**What to do.** `npm ci --omit=dev`. `--fix` does it where neither a script nor the start needs one of them.",
    ),
    rule(
        "files-deleted-later",
        "files are deleted in a later layer than the one that has them",
        "A layer is never changed: deleting in a later one hides the files and keeps their bytes. Secrets that are hidden so can be read by everybody who has the image.\n\n**What to do.** Delete them in the `RUN` that makes them, or don't copy them: `.dockerignore`.",
    ),
    rule(
        "files-doubled",
        "files are in several layers",
        "A layer has whole files. `chmod` or `chown` of a file that another layer has writes it a second time.\n\n**What to do.** `COPY --chown=…`, `COPY --chmod=…`, or change them in the `RUN` that makes them. `--fix` does it for `chown -R` right after `COPY`.",
    ),
    rule(
        "health-check-program-missing",
        "the health check runs a program that isn't in the image",
        "The check fails each time, so that the container is never healthy, and what waits for it never starts.\n\n**What to do.** Ask by what is there: `python -c`, `node -e`, `wget` in Alpine and busybox.",
    ),
    rule(
        "install-not-locked",
        "what is installed may differ from the lock file",
        "`npm install` takes newer versions where `package.json` lets it, so that two builds of one commit differ.\n\n**What to do.** `npm ci`, with the lock file copied before it. `--fix` does it.",
    ),
    rule(
        "lists-updated-apart",
        "apt-get update stands in a RUN of its own",
        "Its layer is used again for months while the packages that its lists name are removed from the mirrors: the installation after it fails then, or installs what is old.\n\n**What to do.** `apt-get update && apt-get install` in one `RUN`. `--fix` joins them.",
    ),
    rule(
        "no-health-check",
        "the image has no health check",
        "Without one the Engine only knows whether the process is there, not whether it answers. Landfall's own `health` needs none.\n\n**What to do.** `HEALTHCHECK --interval=30s --timeout=10s --retries=3 CMD […]`, by a program that is in the image. `--fix` writes one for Python and Node that connects to the port.",
    ),
    rule(
        "package-cache-left",
        "downloads of a package manager are left in a layer",
        "pip and npm keep what they downloaded for the next installation, which in an image never comes.\n\n**What to do.** `pip install --no-cache-dir`, `npm cache clean --force` in the same `RUN`; or a cache mount. `--fix` does it.",
    ),
    rule(
        "package-lists-left",
        "package lists are left in a layer",
        "The lists that `apt-get update` fetches are tens of megabytes, old the next day, and of no use in the image.\n\n**What to do.** Remove them in the same `RUN`: `apt-get clean && rm -rf /var/lib/apt/lists/*` (Debian's official images do the first by themselves, others keep tens of megabytes in `/var/cache/apt`), `apk add --no-cache`, `dnf clean all`. `--fix` does it.",
    ),
    rule(
        "port-mismatch",
        "EXPOSE and the app file's port differ",
        "`EXPOSE` opens nothing, it says where the image listens. Tools that read it, Dokku among them, send requests there.\n\n**What to do.** Say the same port in both. `--fix` adds one where there is none.",
    ),
    rule(
        "recommended-packages",
        "packages are installed that are only recommended",
        "apt installs what a package recommends too.\n\n**What to do.** `--no-install-recommends`, and name what is missing then: `ca-certificates` for HTTPS, often. Because something may be missing, it isn't done by `--fix`.",
    ),
    rule(
        "relative-workdir",
        "WORKDIR is relative",
        "Where it leads to depends on the base image, which may change.\n\n**What to do.** Write the whole path. `--fix` does it where the Engine has the base image.",
    ),
    rule(
        "remote-add",
        "ADD fetches from the network unchecked",
        "What stands at the address today may be something else tomorrow, and the archive stays in the layer.\n\n**What to do.** `ADD --checksum=sha256:…`, or fetch, check, unpack and remove it in one `RUN`.",
    ),
    rule(
        "runs-as-root",
        "the container runs as root",
        "Whoever breaks into the process is root in the container, and one mistake of the kernel or of a mount away from being root on the machine.\n\n**What to do.** `USER 1000:1000` before `CMD`; folders that it writes to must be its own (`COPY --chown`, a volume). `--fix` adds it only after the mended image was started and ran as the first one did.",
    ),
    rule(
        "secret-copied",
        "a file with secrets is copied into the image",
        "Everybody who can pull the image can read it, also where a later layer deletes it.\n\n**What to do.** Leave it out by `.dockerignore`, and give the values when the container is started: `landfall secrets set`. If the image was published, change them.",
    ),
    rule(
        "secret-in-argument",
        "a build argument takes a secret",
        "What an argument is given stands in the image's history: `docker history --no-trunc` shows it.\n\n**What to do.** `RUN --mount=type=secret,id=NAME`, and `build = { secrets = [\"NAME\"] }` in the app file. Change the secret.",
    ),
    rule(
        "secret-in-command",
        "a secret stands in a command of the build",
        "The command is kept in the image's history, and in the repository.\n\n**What to do.** `RUN --mount=type=secret,id=NAME`, which the command reads. Change the secret.",
    ),
    rule(
        "secret-in-environment",
        "ENV sets a secret",
        "The value is part of the image's configuration: `docker inspect` shows it to everybody who can pull it.\n\n**What to do.** Take the line out and give the value when the container is started: `landfall secrets set NAME`. Change the secret.",
    ),
    rule(
        "secret-in-layer",
        "a layer has a private key or a token in it",
        "Found by looking into the layers: at names of files, and for the shapes of keys and tokens. The value is never shown. What a later layer deletes is found too.\n\n**What to do.** Don't let it into the build, and change it if the image was published.",
    ),
    rule(
        "set-user-id-programs",
        "programs that run as their owner are in a layer of yours",
        "A program with the set-user-ID bit of root makes whoever starts it root. Landfall's containers can't gain privileges so; other ways of running may let them.\n\n**What to do.** `chmod u-s`, or don't install them.",
    ),
    rule(
        "shell-form",
        "CMD or ENTRYPOINT is a line for a shell",
        "The shell is the first process then. Many shells keep TERM from the program, which is killed after ten seconds instead of ending what it is at.\n\n**What to do.** A list of words: `CMD [\"python\", \"app.py\"]`; where variables must be filled in, `[\"/bin/sh\", \"-c\", \"exec program $PORT\"]`. `--fix` does it. What TERM does is measured on both images.",
    ),
    rule(
        "signals-lost",
        "the container doesn't end on TERM",
        "It was started and sent TERM, and was still there seconds later. Every stop of it waits until it is killed, and what it was at is lost. A first process that doesn't handle TERM ignores it.\n\n**What to do.** Use the exec form and handle TERM, or start it under an init (`docker run --init`). Landfall's own supervisor is the first process of its containers, and passes TERM on to programs that then end by it.",
    ),
    rule(
        "system-upgraded",
        "the build upgrades the whole system",
        "Each build has other packages then, and the ones they replace stay in the layers below.\n\n**What to do.** Take a newer base image: `docker build --pull`, `landfall deploy --pull`.",
    ),
    rule(
        "unpinned-base",
        "the base image can become another one",
        "A tag is moved: `latest` to other major versions, `3.13-slim` each week. What was tested isn't what is built next.\n\n**What to do.** Name a version and a digest: `python:3.13-slim@sha256:…`, and let a bot renew it. `--fix` writes the digest where the Engine knows it.",
    ),
    rule(
        "vulnerable-packages",
        "packages with known vulnerabilities are in the image",
        "Found by `trivy` or `grype` with the database that is on this machine. Where there is none, it says \"not scanned\", which is not \"none\".\n\n**What to do.** Take a newer base image and newer packages; `scan = \"high\"` in the app file stops a deployment that has some.",
    ),
    rule(
        "world-writable",
        "everybody may write to files of yours",
        "Whatever breaks into a process of another user can change what the app runs.\n\n**What to do.** `chmod o-w`, `COPY --chmod=644`; `/tmp` is there for what everybody writes.",
    ),
];
