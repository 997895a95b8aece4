//! No importer fails otherwise than by a refusal, and what it writes is an app file, whatever it reads.

use std::collections::BTreeMap;

use landfall_import::{Format, Input, import};
use proptest::prelude::*;

const EXAMPLES: [(Format, &str, &str); 5] = [
    (
        Format::Procfile,
        "Procfile",
        "# what runs\nrelease: bin/migrate && bin/seed\nweb: gunicorn app:app --bind 0.0.0.0:${PORT:-5000} $OPTS\nworker_1: A=1 bin/worker | tee log\n",
    ),
    (
        Format::Supervisord,
        "supervisord.conf",
        "[supervisord]\nnodaemon=true ; x\nenvironment=A=\"b, c\",TOKEN='d'\n[program:web]\ncommand=bash -c \"x %(ENV_PORT)s\"\ndirectory=/srv/%(program_name)s\nnumprocs=2\nprocess_name=%(program_name)s_%(process_num)02d\npriority=10\nautorestart=unexpected\nstartsecs=5\nstopsignal=QUIT\nenvironment=PATH=\"/x:%(ENV_PATH)s\"\n[program:once]\ncommand=y 100%%\nstartsecs=0\nautorestart=false\n[group:g]\nprograms=web,once\npriority=3\n[include]\nfiles=a/*.conf\n[eventlistener:e]\ncommand=z\nevents=TICK_5\n",
    ),
    (
        Format::Fly,
        "fly.toml",
        "app = \"shop\"\nkill_signal = \"SIGTERM\"\n[build]\ndockerfile = \"Dockerfile\"\n[build.args]\nA = \"b\"\n[env]\nLOG = \"x\"\nAPI_KEY = \"y\"\n[processes]\nweb = \"bin/web\"\nworker = \"bin/worker '$X'\"\n[deploy]\nrelease_command = \"bin/migrate\"\nstrategy = \"rolling\"\n[http_service]\ninternal_port = 8080\nprocesses = [\"web\"]\n[[http_service.checks]]\npath = \"/up\"\ninterval = 15000\n[[services]]\ninternal_port = 9\n[[services.ports]]\nport = 80\n[[mounts]]\nsource = \"d\"\ndestination = \"/d\"\n[[vm]]\nsize = \"shared-cpu-1x\"\n[[files]]\nguest_path = \"/f\"\nlocal_path = \"f\"\n[checks.c]\ntype = \"tcp\"\nport = 1\n",
    ),
    (
        Format::Heroku,
        "app.json",
        "{\"name\": \"Shop\", \"env\": {\"A\": \"b\", \"S\": {\"generator\": \"secret\"}, \"T\": {\"required\": false}}, \"addons\": [\"heroku-postgresql:mini\", {\"plan\": \"heroku-redis\", \"as\": \"CACHE\"}], \"formation\": {\"web\": {\"quantity\": 2, \"size\": \"standard-1x\"}}, \"scripts\": {\"postdeploy\": \"x\", \"dokku\": {\"predeploy\": \"y\"}}, \"healthchecks\": {\"web\": [{\"path\": \"/up\", \"timeout\": 3}]}, \"cron\": [{\"command\": \"z\", \"schedule\": \"@daily\"}], \"buildpacks\": [{\"url\": \"heroku/python\"}]}",
    ),
    (
        Format::Kamal,
        "config/deploy.yml",
        "service: shop\nimage: a/b\nservers:\n  web:\n    - 192.0.2.1\n  jobs:\n    hosts: [192.0.2.1]\n    cmd: bin/jobs\n    options: {memory: 1g}\nproxy:\n  host: a.example.com\n  app_port: 3000\n  path_prefix: /api\n  healthcheck: {path: /up, interval: 2}\nregistry: {server: ghcr.io, username: x, password: [P]}\nenv:\n  clear: {A: <%= 1 %>, B: 2}\n  secret: [C, D:E]\nvolumes: [\"a:/a\", \"/b:/b:ro\"]\nbuilder: {arch: amd64, args: {X: y}}\naccessories:\n  db: {image: \"postgres:16\", port: 5432, env: {secret: [POSTGRES_PASSWORD]}}\n  s: {image: \"x/y:1\", volumes: [\"v:/v\"], env: {clear: {M: n}}}\n",
    ),
];

/// What comes out of a text is right, or a refusal.
fn check(format: Format, file: &str, text: &[u8], procfile: &[u8]) -> Result<(), TestCaseError> {
    let source = BTreeMap::from([
        (file.to_owned(), text.to_vec()),
        (
            "Dockerfile".to_owned(),
            b"FROM x\nWORKDIR /srv/web\nEXPOSE 80\n".to_vec(),
        ),
        (
            "Procfile".to_owned(),
            if file == "Procfile" { text } else { procfile }.to_vec(),
        ),
    ]);
    let read = import(
        format,
        &Input {
            files: &[file.to_owned()],
            source: &source,
            variables: &BTreeMap::new(),
            profiles: &[],
            name: "A folder_1",
        },
    );
    match read {
        Ok(imported) => {
            let (_, diagnostics) = landfall_app::read(imported.text.as_bytes(), "landfall.toml");
            prop_assert!(
                !diagnostics.has_errors(),
                "{diagnostics}\n{}",
                imported.text
            );
            let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
            for remark in imported.remarks.iter().filter(|remark| remark.file == file) {
                prop_assert!(remark.line <= lines, "{remark:?}");
            }
        }
        Err(refusal) => prop_assert!(
            ["bad-import", "no-such-file"].contains(&refusal.name),
            "{refusal:?}"
        ),
    }
    Ok(())
}

/// A text with pieces taken out, put in, doubled and moved.
fn mutated(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\"".to_vec()),
        Just(b"'".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"${".to_vec()),
        Just(b"%(".to_vec()),
        Just(b"%>".to_vec()),
        Just(b"<%=".to_vec()),
        Just(b"[".to_vec()),
        Just(b"]".to_vec()),
        Just(b"=".to_vec()),
        Just(b": ".to_vec()),
        Just(b"\t".to_vec()),
        Just(b"-1".to_vec()),
        Just(b"99999999999999999999".to_vec()),
        Just("é\u{e000}".as_bytes().to_vec()),
        Just(b"\xff".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"&a *a".to_vec()),
        proptest::collection::vec(any::<u8>(), 1..4),
    ];
    let change = (any::<proptest::sample::Index>(), 0usize..12, piece);
    proptest::collection::vec(change, 0..6).prop_map(move |changes| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, gone, piece) in changes {
            let at = at.index(bytes.len() + 1);
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, piece);
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn examples_with_mistakes_are_read_or_refused(
        (index, text) in (0..EXAMPLES.len()).prop_flat_map(|index| (Just(index), mutated(EXAMPLES[index].2))),
    ) {
        let (format, file, _) = EXAMPLES[index];
        check(format, file, &text, b"web: x $PORT\n")?;
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[ -~\n]{0,200}") {
        for (format, file, _) in EXAMPLES {
            check(format, file, &bytes, &bytes)?;
            check(format, file, text.as_bytes(), text.as_bytes())?;
        }
    }
}

#[test]
fn the_examples_themselves_are_read() {
    for (format, file, text) in EXAMPLES {
        let source = BTreeMap::from([
            ("Procfile".to_owned(), b"web: bin/web\n".to_vec()),
            (file.to_owned(), text.as_bytes().to_vec()),
        ]);
        let input = Input {
            files: &[file.to_owned()],
            source: &source,
            variables: &BTreeMap::new(),
            profiles: &[],
            name: "shop",
        };
        let imported = import(format, &input).unwrap_or_else(|refusal| panic!("{refusal}"));
        let dropped: Vec<_> = imported
            .remarks
            .iter()
            .filter(|remark| remark.said.contains("an app file can't say it"))
            .collect();
        assert!(dropped.is_empty(), "{dropped:?}");
    }
}
