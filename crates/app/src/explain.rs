//! A short page for each name of a diagnostic: what it means, a wrong example, the mended one.

macro_rules! page {
    ($code:literal, $meaning:literal, $wrong:literal, $right:literal) => {
        (
            $code,
            concat!(
                $meaning,
                "\n\nWrong:\n\n",
                $wrong,
                "\n\nRight:\n\n",
                $right,
                "\n"
            ),
        )
    };
}

/// Every name of a diagnostic of the app file with its page, for `landfall explain`.
pub fn codes() -> &'static [(&'static str, &'static str)] {
    PAGES
}

const PAGES: &[(&str, &str)] = &[
    page!(
        "after-circle",
        "Processes wait for each other by `after`, so that none of them could ever start. A process with `run` ends before the others start and can't wait for one that stays.",
        "[service.web.process.api]\ncommand = \"bin/api\"\nafter = \"agent\"\n[service.web.process.agent]\ncommand = \"bin/agent\"\nafter = \"api\"",
        "[service.web.process.api]\ncommand = \"bin/api\"\n[service.web.process.agent]\ncommand = \"bin/agent\"\nafter = \"api\""
    ),
    page!(
        "ambiguous-health",
        "Which of several processes the service's `health` asks can't be told. A service with several processes and no `port` has a `health` that could be that of any of them. Give it to the process that it asks.",
        "[service.worker]\nhealth = { run = \"bin/healthy\" }\n[service.worker.process.a]\ncommand = \"bin/a\"\n[service.worker.process.b]\ncommand = \"bin/b\"",
        "[service.worker.process.a]\ncommand = \"bin/a\"\nhealth = { run = \"bin/healthy\" }\n[service.worker.process.b]\ncommand = \"bin/b\""
    ),
    page!(
        "bad-host",
        "This can't be the name of a host. A host name is made of letters, digits and hyphens between dots, without a scheme, a port or a path.",
        "[service.web]\ncommand = \"bin/web\"\nport = 3000\ndomains = [\"https://shop.example.com\"]",
        "[service.web]\ncommand = \"bin/web\"\nport = 3000\ndomains = [\"shop.example.com\"]"
    ),
    page!(
        "bad-name",
        "Names of apps, services, processes and environments are made of lower-case letters, digits and hyphens, begin with a letter, don't end with a hyphen, and have at most 63 characters: they become host names and folders as they stand.",
        "[service.Web_App]\ncommand = \"bin/web\"",
        "[service.web-app]\ncommand = \"bin/web\""
    ),
    page!(
        "bad-path",
        "A path leads out of its place, or isn't written as its key needs it. A path in the repository is relative and stays inside of it; a path of a page begins with `/` and has no host; a path in the service is absolute.",
        "[service.web]\nroot = \"../other\"\ncommand = \"bin/web\"",
        "[service.web]\nroot = \"other\"\ncommand = \"bin/web\""
    ),
    page!(
        "bad-port",
        "A port is a whole number from 1 to 65535.",
        "[service.web]\ncommand = \"bin/web\"\nport = 70000",
        "[service.web]\ncommand = \"bin/web\"\nport = 7000"
    ),
    page!(
        "bad-reference",
        "`${…}` in a value is resolved by Landfall and has one of a few forms: ${secret.NAME}, ${service.NAME.url}, ${process.NAME.url}, ${backing.NAME.url}, and .host, .port, .user, .password, .name of them. Variables of the running process can't stand in values.",
        "[service.web]\ncommand = \"bin/web\"\nsecrets = [\"TOKEN\"]\nenv = { KEY = \"${TOKEN}\" }",
        "[service.web]\ncommand = \"bin/web\"\nsecrets = [\"TOKEN\"]\nenv = { KEY = \"${secret.TOKEN}\" }"
    ),
    page!(
        "bad-schedule",
        "This isn't a cron line of five fields. A schedule is a cron line of five fields: minute, hour, day of the month, month, day of the week. Each is a number, `*`, a range `1-5`, a step `*/5`, or a list of them.",
        "[service.web]\ncommand = \"bin/web\"\n[job.nightly]\nrun = \"bin/report\"\nschedule = \"daily\"",
        "[service.web]\ncommand = \"bin/web\"\n[job.nightly]\nrun = \"bin/report\"\nschedule = \"30 2 * * *\""
    ),
    page!(
        "bad-secret-name",
        "A secret is an environment variable of the service; its name is made of letters, digits and `_`. Only the name stands in the file, the value is set by `landfall secrets set`.",
        "[service.web]\ncommand = \"bin/web\"\nsecrets = [\"API-KEY\"]",
        "[service.web]\ncommand = \"bin/web\"\nsecrets = [\"API_KEY\"]"
    ),
    page!(
        "bad-target",
        "This isn't a place where Landfall can run an app. A target is \"local\", \"ssh://user@host\" or a table that names one of dokku, kubernetes, netlify and huggingface.",
        "[service.web]\ncommand = \"bin/web\"\n[environment.production]\ntarget = \"deploy@203.0.113.7\"",
        "[service.web]\ncommand = \"bin/web\"\n[environment.production]\ntarget = \"ssh://deploy@203.0.113.7\""
    ),
    page!(
        "bad-time-zone",
        "A time zone is an IANA name: UTC, or an area and a city.",
        "timezone = \"Berlin\"\n[service.web]\ncommand = \"bin/web\"",
        "timezone = \"Europe/Berlin\"\n[service.web]\ncommand = \"bin/web\""
    ),
    page!(
        "bad-times",
        "Two times contradict each other. For example a probe that may take longer than the whole start, or a longest delay that is shorter than the first.",
        "[service.web]\ncommand = \"bin/web\"\nport = 3000\nhealth = { ready = \"/health\", start = \"2s\" }",
        "[service.web]\ncommand = \"bin/web\"\nport = 3000\nhealth = { ready = \"/health\", start = \"2s\", timeout = \"1s\" }"
    ),
    page!(
        "bad-value",
        "The key can't have this value. The value has the right type, but isn't one that this key can have; the message says what it expected.",
        "[service.web]\ncommand = \"bin/web\"\ndrain = \"30 seconds\"",
        "[service.web]\ncommand = \"bin/web\"\ndrain = \"30s\""
    ),
    page!(
        "bad-variable-name",
        "This can't be the name of an environment variable. An environment variable is made of letters, digits and `_`, and doesn't begin with a digit.",
        "[service.web]\ncommand = \"bin/web\"\nenv = { log-level = \"info\" }",
        "[service.web]\ncommand = \"bin/web\"\nenv = { LOG_LEVEL = \"info\" }"
    ),
    page!(
        "conflicting-keys",
        "Two keys say different things about the same: only one of them can stand here.",
        "[service.web]\nbuild = \"Dockerfile\"\nimage = \"nginx:1.27\"",
        "[service.web]\nimage = \"nginx:1.27\""
    ),
    page!(
        "duplicate-key",
        "A key or a table stands only once. A list of tables is written with two brackets, [[notify]].",
        "[service.web]\ncommand = \"bin/web\"\nport = 3000\nport = 8000",
        "[service.web]\ncommand = \"bin/web\"\nport = 8000"
    ),
    page!(
        "extends-circle",
        "Environments extend each other in a circle, or through more than 16 others.",
        "[service.web]\ncommand = \"bin/web\"\n[environment.a]\nextends = \"b\"\n[environment.b]\nextends = \"a\"",
        "[service.web]\ncommand = \"bin/web\"\n[environment.a]\nextends = \"b\"\n[environment.b]"
    ),
    page!(
        "image-as-process",
        "An image only runs as a container. Somebody else's image only runs as a container: there is no source tree to run as plain processes.",
        "[service.web]\nimage = \"nginx:1.27\"\nruntime = \"process\"",
        "[service.web]\nimage = \"nginx:1.27\""
    ),
    page!(
        "landfall-too-old",
        "The file says that it needs a newer Landfall than this one. Update Landfall, or take the line out if the file needs nothing new.",
        "requires-landfall = \"999.0\"\n[service.web]\ncommand = \"bin/web\"",
        "requires-landfall = \"0.1\"\n[service.web]\ncommand = \"bin/web\""
    ),
    page!(
        "missing-command",
        "The service, or one of its processes, says nothing to execute. A service as plain processes says what to execute: `command` for one process, [service.NAME.process.NAME] for several, `static` for a folder of files. Each process has `command`, which stays, or `run`, which ends; one at least must stay.",
        "[service.web]\nbuild = { run = \"make\" }\nport = 3000",
        "[service.web]\nbuild = { run = \"make\" }\ncommand = \"bin/web\"\nport = 3000"
    ),
    page!(
        "missing-key",
        "A key is missing that this table can't do without.",
        "[service.web]\ncommand = \"bin/web\"\n[job.nightly]\nrun = \"bin/report\"",
        "[service.web]\ncommand = \"bin/web\"\n[job.nightly]\nrun = \"bin/report\"\nschedule = \"30 2 * * *\""
    ),
    page!(
        "missing-port",
        "Something needs the service's `port`, and it has none. Something leads to a service, or asks it, or names its `$PORT`, and it listens nowhere. Of several processes only the one that listens on `$PORT` has an address.",
        "[service.web]\ncommand = \"bin/web --port $PORT\"",
        "[service.web]\ncommand = \"bin/web --port $PORT\"\nport = 3000"
    ),
    page!(
        "missing-source",
        "A service doesn't say what it is made of. A service says what it is made of: `build`, `image`, `static`, `command` or processes. Where an environment sets the values of a service, this may be a mistyped name.",
        "[service.web]\ncommand = \"bin/web\"\n[environment.staging]\nservice.wbe.replicas = 2",
        "[service.web]\ncommand = \"bin/web\"\n[environment.staging]\nservice.web.replicas = 2"
    ),
    page!(
        "no-services",
        "An app has at least one service.",
        "timezone = \"UTC\"",
        "[service.web]\ncommand = \"bin/web\""
    ),
    page!(
        "not-built-yet",
        "The file is right, but this Landfall can't do it yet. `check` warns; `deploy` refuses where the deployment would be another one than the file says.",
        "[service.web]\ncommand = \"bin/web\"\nport = 3000\nstrategy = \"rolling\"",
        "[service.web]\ncommand = \"bin/web\"\nport = 3000\nstrategy = \"blue-green\""
    ),
    page!(
        "not-text",
        "The file holds bytes that no text has. An app file is a text file in UTF-8.",
        "app = \"\u{0}\"",
        "[service.web]\ncommand = \"bin/web\""
    ),
    page!(
        "nothing-runs-there",
        "A job runs in the release and with the environment of its service. A service of static files has neither programs nor an environment: it is served by the edge alone.",
        "[service.site]\nstatic = \"public\"\n[job.nightly]\nrun = \"bin/report\"\nschedule = \"30 2 * * *\"",
        "[service.site]\nstatic = \"public\"\n[service.worker]\ncommand = \"bin/worker\"\n[job.nightly]\nrun = \"bin/report\"\nschedule = \"30 2 * * *\"\nservice = \"worker\""
    ),
    page!(
        "recreate-with-replicas",
        "What can't run twice is told to run several times. `recreate` is for what can't run twice at the same time; `replicas` runs it several times.",
        "[service.web]\ncommand = \"bin/web\"\nstrategy = \"recreate\"\nreplicas = 2",
        "[service.web]\ncommand = \"bin/web\"\nstrategy = \"recreate\""
    ),
    page!(
        "reference-in-command",
        "A `${…}` that Landfall resolves stands in a command. A command names variables of its own process, $NAME; what Landfall resolves goes by way of `env`.",
        "[service.api]\ncommand = \"bin/api --port $PORT\"\nport = 3000\n[service.web]\ncommand = \"bin/web --api ${service.api.url}\"",
        "[service.api]\ncommand = \"bin/api --port $PORT\"\nport = 3000\n[service.web]\ncommand = \"bin/web --api $API_URL\"\nenv = { API_URL = \"${service.api.url}\" }"
    ),
    page!(
        "replicas-under-autoscaler",
        "`replicas` is a fixed number and left to the load at once. `replicas` is a fixed number or the bounds between which the load decides, not both.",
        "[service.web]\ncommand = \"bin/web\"\nreplicas = { count = 3, min = 2, max = 10 }",
        "[service.web]\ncommand = \"bin/web\"\nreplicas = { min = 2, max = 10 }"
    ),
    page!(
        "reserved-backing",
        "Names of backing services that end in `-scratch` or `-upgrade` are Landfall's own: a backup is verified in the one, a new version is made in the other.",
        "[backing.db-scratch]\nkind = \"postgres\"\n[service.web]\ncommand = \"bin/web\"",
        "[backing.db]\nkind = \"postgres\"\n[service.web]\ncommand = \"bin/web\""
    ),
    page!(
        "reserved-name",
        "No environment can be called so. `all`, `default` and `none` can't be names of environments: they have a meaning of their own in commands.",
        "[service.web]\ncommand = \"bin/web\"\n[environment.default]",
        "[service.web]\ncommand = \"bin/web\"\n[environment.staging]"
    ),
    page!(
        "reserved-variable",
        "Landfall sets this variable itself. These are `PORT`, by `port`, the variables of `uses`, and names that begin with LANDFALL_.",
        "[service.web]\ncommand = \"bin/web\"\nenv = { PORT = \"3000\" }",
        "[service.web]\ncommand = \"bin/web\"\nport = 3000"
    ),
    page!(
        "same-as-circle",
        "Services are built the same as each other in a circle; one of them must say how.",
        "[service.a]\ncommand = \"bin/a\"\nbuild = { same-as = \"b\" }\n[service.b]\ncommand = \"bin/b\"\nbuild = { same-as = \"a\" }",
        "[service.a]\ncommand = \"bin/a\"\nbuild = { run = \"make\" }\n[service.b]\ncommand = \"bin/b\"\nbuild = { same-as = \"a\" }"
    ),
    page!(
        "same-domain",
        "Two services claim the same host name. Give one of them another, or part them by `routes`.",
        "[service.a]\ncommand = \"bin/a\"\nport = 3000\ndomains = [\"shop.example.com\"]\n[service.b]\ncommand = \"bin/b\"\nport = 3001\ndomains = [\"shop.example.com\"]",
        "[service.a]\ncommand = \"bin/a\"\nport = 3000\ndomains = [\"shop.example.com\"]\n[service.b]\ncommand = \"bin/b\"\nport = 3001\nroutes = [{ host = \"shop.example.com\", path = \"/api\" }]"
    ),
    page!(
        "same-name",
        "A service and a backing service are called the same. Both are found under their names on the app's network and in its logs, so each needs one of its own.",
        "[service.cache]\ncommand = \"bin/cache\"\n[backing.cache]\nkind = \"redis\"",
        "[service.cache]\ncommand = \"bin/cache\"\n[backing.store]\nkind = \"redis\""
    ),
    page!(
        "same-publish",
        "Two services open the same port of the machine.",
        "[service.a]\ncommand = \"bin/a\"\nport = 3000\npublish = 80\n[service.b]\ncommand = \"bin/b\"\nport = 3001\npublish = 80",
        "[service.a]\ncommand = \"bin/a\"\nport = 3000\npublish = 80\n[service.b]\ncommand = \"bin/b\"\nport = 3001\npublish = 81"
    ),
    page!(
        "same-route",
        "Two services claim the same host and path.",
        "[service.a]\ncommand = \"bin/a\"\nport = 3000\nroutes = [{ path = \"/api\" }]\n[service.b]\ncommand = \"bin/b\"\nport = 3001\nroutes = [{ path = \"/api/\" }]",
        "[service.a]\ncommand = \"bin/a\"\nport = 3000\nroutes = [{ path = \"/api\" }]\n[service.b]\ncommand = \"bin/b\"\nport = 3001\nroutes = [{ path = \"/admin\" }]"
    ),
    page!(
        "secret-in-command",
        "The arguments of a process can be read by everybody on the machine, with `ps`. A secret, a value with ${secret.NAME} in it and a generated one therefore reach an app by its environment alone, which only its own user can read.",
        "[service.web]\ncommand = \"bin/web --token $TOKEN\"\nsecrets = [\"TOKEN\"]",
        "[service.web]\ncommand = \"bin/web\"\nsecrets = [\"TOKEN\"]"
    ),
    page!(
        "secret-in-env",
        "[env] holds plain values for all services. A secret belongs to the services that name it.",
        "[env]\nTOKEN = \"${secret.TOKEN}\"\n[service.web]\ncommand = \"bin/web\"",
        "[service.web]\ncommand = \"bin/web\"\nsecrets = [\"TOKEN\"]"
    ),
    page!(
        "shell-in-command",
        "A `command` needs a shell, and is executed without one. A `command` is split into words and executed without a shell, so that signals reach the program itself. What only a shell can do (`&&`, `|`, `>`, `cd`, `NAME=value`) is for `run`, which happens once and ends; or write the list form with a shell in it.",
        "[service.web]\ncommand = \"cd app && bin/web\"",
        "[service.web]\nroot = \"app\"\ncommand = \"bin/web\""
    ),
    page!(
        "syntax",
        "The text is not TOML. Texts stand in quotes, lists in [ ], tables in { } on one line or under a [heading].",
        "[service.web]\ncommand = bin/web",
        "[service.web]\ncommand = \"bin/web\""
    ),
    page!(
        "unclosed-quote",
        "A quote in a command is opened and not closed.",
        "[service.web]\ncommand = \"bin/web --name 'my shop\"",
        "[service.web]\ncommand = \"bin/web --name 'my shop'\""
    ),
    page!(
        "unknown-backing",
        "A backing service is named that the file doesn't have.",
        "[service.web]\ncommand = \"bin/web\"\nuses = [\"postgres\"]",
        "[service.web]\ncommand = \"bin/web\"\nuses = [\"postgres\"]\n[backing.postgres]"
    ),
    page!(
        "unknown-environment",
        "An environment is named that the file doesn't have. `local` is always there.",
        "[service.web]\ncommand = \"bin/web\"\n[environment.staging]\nextends = \"prodction\"\n[environment.production]",
        "[service.web]\ncommand = \"bin/web\"\n[environment.staging]\nextends = \"production\"\n[environment.production]"
    ),
    page!(
        "unknown-key",
        "The table has no such key. Landfall's words are in the reference; where another tool's word is known, the message says ours.",
        "[service.web]\ncomand = \"bin/web\"",
        "[service.web]\ncommand = \"bin/web\""
    ),
    page!(
        "unknown-kind",
        "It isn't plain which kind of backing service is meant. The kind of a backing service is its name; for any other name say `kind` or `image`.",
        "[service.web]\ncommand = \"bin/web\"\n[backing.main]",
        "[service.web]\ncommand = \"bin/web\"\n[backing.main]\nkind = \"postgres\""
    ),
    page!(
        "unknown-process",
        "A process is named that this service doesn't have. Processes are known only inside of their service.",
        "[service.web.process.api]\ncommand = \"bin/api\"\n[service.web.process.agent]\ncommand = \"bin/agent\"\nafter = \"apy\"",
        "[service.web.process.api]\ncommand = \"bin/api\"\n[service.web.process.agent]\ncommand = \"bin/agent\"\nafter = \"api\""
    ),
    page!(
        "unknown-secret",
        "A value names a secret that is not in the service's `secrets`.",
        "[service.web]\ncommand = \"bin/web\"\nenv = { KEY = \"${secret.TOKEN}\" }",
        "[service.web]\ncommand = \"bin/web\"\nsecrets = [\"TOKEN\"]\nenv = { KEY = \"${secret.TOKEN}\" }"
    ),
    page!(
        "unknown-service",
        "A service is named that the file doesn't have.",
        "[service.web]\ncommand = \"bin/web\"\n[job.nightly]\nrun = \"bin/report\"\nschedule = \"30 2 * * *\"\nservice = \"wbe\"",
        "[service.web]\ncommand = \"bin/web\"\n[job.nightly]\nrun = \"bin/report\"\nschedule = \"30 2 * * *\"\nservice = \"web\""
    ),
    page!(
        "unknown-variable",
        "A command names a variable that its process doesn't have. It has those of `env` at every level, of `uses`, and what Landfall gives: PORT where the service has a `port`, PATH, HOME, LANG, LANDFALL_APP, LANDFALL_ENVIRONMENT, LANDFALL_SERVICE, LANDFALL_RELEASE and LANDFALL_REPLICA. Variables of the shell that deploys don't reach it.",
        "[service.web]\ncommand = \"bin/web --level $LOG_LEVEL\"",
        "[service.web]\ncommand = \"bin/web --level $LOG_LEVEL\"\nenv = { LOG_LEVEL = \"info\" }"
    ),
    page!(
        "unknown-word",
        "The key takes one of a few words, and this is none of them.",
        "[service.web]\ncommand = \"bin/web\"\nstrategy = \"bluegreen\"",
        "[service.web]\ncommand = \"bin/web\"\nstrategy = \"blue-green\""
    ),
    page!(
        "verified-in-itself",
        "An environment can't wait until it has verified a release itself.",
        "[service.web]\ncommand = \"bin/web\"\n[environment.production]\nverified-in = \"production\"",
        "[service.web]\ncommand = \"bin/web\"\n[environment.staging]\n[environment.production]\nverified-in = \"staging\""
    ),
    page!(
        "wrong-type",
        "The value has another type than its key takes. A text stands in quotes, a number and true or false don't, a list in [ ].",
        "[service.web]\ncommand = \"bin/web\"\nport = \"3000\"",
        "[service.web]\ncommand = \"bin/web\"\nport = 3000"
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn found(text: &str) -> BTreeSet<&'static str> {
        let (file, diagnostics) = crate::read(
            format!("app = \"shop\"\n{text}").as_bytes(),
            "landfall.toml",
        );
        assert!(file.is_some() || diagnostics.has_errors());
        diagnostics
            .list()
            .iter()
            .map(|diagnostic| diagnostic.code)
            .collect()
    }

    #[test]
    fn every_wrong_example_is_found_and_every_right_one_is_right() {
        let mut failures = Vec::new();
        for (code, page) in codes() {
            let (_, rest) = page.split_once("\n\nWrong:\n\n").unwrap();
            let (wrong, right) = rest.split_once("\n\nRight:\n\n").unwrap();
            // What isn't built yet may stand in any example.
            let counts = |found: &&str| found == code || *found != "not-built-yet";
            let wrong: Vec<_> = found(wrong).into_iter().filter(counts).collect();
            let right: Vec<_> = found(right).into_iter().filter(counts).collect();
            if wrong != [*code] || !right.is_empty() {
                failures.push(format!(
                    "{code}: the wrong example gives {wrong:?}, the right one {right:?}"
                ));
            }
        }
        assert!(failures.is_empty(), "{failures:#?}");
    }

    #[test]
    fn names_are_sorted_and_stand_once() {
        assert!(codes().is_sorted_by(|a, b| a.0 < b.0));
    }
}
