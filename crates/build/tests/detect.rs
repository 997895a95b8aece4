//! What `init` finds in folders as people have them, and that what it writes is an app file.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends with the first thing that goes wrong"
)]

use std::{fs, path::Path};

use landfall_app::{
    App,
    model::{Probe, Runtime},
};
use landfall_build::detect::{AppFileDraft, detect, write_app_file};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn draft(path: &Path, name: &str) -> AppFileDraft {
    let draft = write_app_file(&detect(path), name);
    assert_eq!(
        draft.todo.len(),
        draft.text.matches("# TODO").count(),
        "{}",
        draft.text
    );
    draft
}

/// Reads a draft as the command would, for `local`.
fn resolved(draft: &AppFileDraft) -> App {
    let (file, diagnostics) = landfall_app::read(draft.text.as_bytes(), "landfall.toml");
    let said: Vec<_> = diagnostics
        .list()
        .iter()
        .map(|diagnostic| format!("{diagnostic:?}"))
        .collect();
    assert!(!diagnostics.has_errors(), "{}\n{said:#?}", draft.text);
    match file.unwrap().resolve(&"local".parse().unwrap()) {
        Ok(resolved) => resolved.app,
        Err(diagnostics) => panic!("{}\n{:#?}", draft.text, diagnostics.list()),
    }
}

#[test]
fn two_processes_in_one_container() {
    let folder = folder(&[
        (
            "Dockerfile",
            "FROM python:3.13-slim\nWORKDIR /app\nENV PYTHONUNBUFFERED=1\nCOPY . .\nEXPOSE 8000\nCMD [\"supervisord\", \"-c\", \"supervisord.conf\"]\n",
        ),
        ("requirements.txt", "fastapi\nuvicorn\n"),
        ("app/__init__.py", ""),
        (
            "app/main.py",
            "from fastapi import FastAPI\n\napp = FastAPI(title=\"Union\")\n\n\n@app.get(\"/health\")\ndef health():\n    return {}\n",
        ),
        (
            "agent/__main__.py",
            "import requests\nrequests.get(\"/health\")\n",
        ),
        (
            "supervisord.conf",
            "[supervisord]\nnodaemon=true\n\n[program:api]\ncommand=uvicorn app.main:app --host 0.0.0.0 --port 8000\npriority=100\n\n[program:agent]\ncommand=python -m agent\npriority=200\n",
        ),
        (
            ".env",
            "OPENAI_API_KEY=hunter2\nTYPEFORM_API_TOKEN=hunter3\nLOG_LEVEL=info\nLOG_FORMAT=json\n",
        ),
        (".gitignore", "*.pyc\n"),
        (".git/HEAD", ""),
    ]);
    let draft = draft(folder.path(), "Union_Action");
    let found: Vec<_> = draft
        .found
        .iter()
        .map(|(what, said)| format!("{what}: {said}"))
        .collect();
    assert_eq!(
        found,
        [
            "Dockerfile: python:3.13-slim, EXPOSE 8000, runs as root",
            "app/main.py:3: FastAPI",
            "app/main.py:6: GET /health",
            "supervisord.conf: 2 programs, api and agent: imported as processes",
            ".env: 4 names, 2 of them secret; no value copied",
        ]
    );
    assert_eq!(draft.ignore, [".env"]);
    assert_eq!(draft.todo.len(), 1, "{}", draft.text);
    assert!(!format!("{draft:?}").contains("hunter"));

    let app = resolved(&draft);
    let service = &app.services["union-action"];
    assert_eq!(
        (app.app.as_str(), service.port, service.runtime),
        ("union-action", Some(8000), Runtime::Process)
    );
    assert!(matches!(&service.health.ready, Some(Probe::Http { path, .. }) if path == "/health"));
    assert_eq!(
        service.secrets.keys().collect::<Vec<_>>(),
        ["OPENAI_API_KEY", "TYPEFORM_API_TOKEN"]
    );
    let [api, agent] = service.processes.as_slice() else {
        panic!("{service:?}")
    };
    assert!(
        api.front && format!("{:?}", api.kind).contains("$PORT"),
        "{api:?}"
    );
    assert_eq!(agent.after, std::slice::from_ref(&api.name));
}

#[test]
fn what_frameworks_need_is_known() {
    for (name, files, expected) in [
        (
            "fastapi",
            &[
                ("requirements.txt", "fastapi[standard]"),
                ("src/shop/api.py", "x = 1\napi: FastAPI = FastAPI()\n"),
            ][..],
            "uvicorn shop.api:api --host 0.0.0.0 --port $PORT --app-dir src",
        ),
        (
            "flask",
            &[
                ("requirements.txt", "Flask\ngunicorn"),
                ("app.py", "app = Flask(__name__)"),
            ],
            "gunicorn app:app --bind 0.0.0.0:$PORT",
        ),
        (
            "factory",
            &[
                ("requirements.txt", "flask"),
                (
                    "web/__init__.py",
                    "def create_app():\n    app = Flask(__name__)\n",
                ),
            ],
            "flask --app web run --host 0.0.0.0 --port $PORT",
        ),
        (
            "django",
            &[
                ("requirements.txt", "django\ngunicorn"),
                (
                    "manage.py",
                    "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')",
                ),
            ],
            "gunicorn shop.wsgi --bind 0.0.0.0:$PORT",
        ),
        (
            "express",
            &[
                (
                    "package.json",
                    r#"{"dependencies": {"express": "4"}, "scripts": {"start": "node server.js"}}"#,
                ),
                ("server.js", "express().listen(process.env.PORT)"),
            ],
            "node server.js",
        ),
        (
            "next",
            &[(
                "package.json",
                r#"{"dependencies": {"next": "15"}, "scripts": {"build": "next build"}}"#,
            )],
            "next start --port $PORT",
        ),
        (
            "heroku",
            &[
                ("Procfile", "web: bundle exec puma -p ${PORT:-3000}"),
                ("requirements.txt", ""),
            ],
            "bundle exec puma -p $PORT",
        ),
        (
            "dockerfile",
            &[
                (
                    "Dockerfile",
                    "FROM python:3\nCMD exec gunicorn -b :5000 wsgi:app",
                ),
                ("requirements.txt", "gunicorn"),
            ],
            "gunicorn -b :$PORT wsgi:app",
        ),
    ] {
        let folder = folder(files);
        let draft = draft(folder.path(), name);
        assert!(
            draft.text.contains(&format!("command = \"{expected}\"\n")),
            "{}",
            draft.text
        );
        let app = resolved(&draft);
        assert!(app.services[name].port.is_some(), "{}", draft.text);
    }
}

#[test]
fn sites_are_served_as_files() {
    for (files, expected) in [
        (&[("index.html", "")][..], "."),
        (&[("public/index.html", "")], "public"),
        (
            &[
                (
                    "package.json",
                    r#"{"devDependencies": {"vite": "5"}, "scripts": {"build": "vite build"}}"#,
                ),
                ("index.html", ""),
            ],
            "dist",
        ),
        (
            &[(
                "package.json",
                r#"{"dependencies": {"react-scripts": "5"}, "scripts": {"build": "x"}}"#,
            )],
            "build",
        ),
    ] {
        let folder = folder(files);
        let draft = draft(folder.path(), "site");
        let app = resolved(&draft);
        assert_eq!(
            app.services["site"].static_files.as_deref(),
            Some(expected),
            "{}",
            draft.text
        );
        assert!(
            app.services["site"].processes.is_empty() && draft.todo.is_empty(),
            "{}",
            draft.text
        );
    }
}

#[test]
fn folders_below_become_services() {
    let folder = folder(&[
        ("backend/requirements.txt", "fastapi\nuvicorn"),
        ("backend/main.py", "app = FastAPI()\n@app.get('/healthz')\n"),
        (
            "frontend/package.json",
            r#"{"devDependencies": {"vite": "5"}, "scripts": {"build": "vite build"}}"#,
        ),
        ("docs/readme.md", ""),
        ("compose.yaml", "services: {}"),
        (".env.example", "DATABASE_URL=\n"),
    ]);
    let draft = draft(folder.path(), "shop");
    let app = resolved(&draft);
    assert_eq!(
        app.services
            .keys()
            .map(|name| name.as_str())
            .collect::<Vec<_>>(),
        ["backend", "frontend"]
    );
    assert_eq!(app.services["backend"].root, "backend");
    assert!(
        draft
            .found
            .contains(&("backend/main.py:2".to_owned(), "GET /healthz".to_owned())),
        "{:?}",
        draft.found
    );
    assert!(draft.found.iter().any(|(what, _)| what == "compose.yaml"));
    assert!(draft.ignore.is_empty(), "there is no repository");
}

#[test]
fn odd_folders_still_make_an_app_file() {
    let long = "x".repeat(100);
    for (name, files) in [
        ("empty", &[][..]),
        ("2024 \"Quoted\" Ümlaut!", &[("main.py", "")]),
        (
            long.as_str(),
            &[(
                "Dockerfile",
                "FROM scratch\nCMD [\"/bin/x\", \"a \\\"b\\\" \\\\ c\"]\n",
            )],
        ),
        (
            "shell",
            &[
                (
                    "Procfile",
                    "web: cd app && A=\"b\" ./run | tee log\nweb2: x\n",
                ),
                ("requirements.txt", ""),
            ],
        ),
        (
            "broken",
            &[
                ("package.json", "{"),
                (".env", "no equals sign"),
                ("Dockerfile", "\\\n\\"),
            ],
        ),
    ] {
        let folder = folder(files);
        let draft = draft(folder.path(), name);
        let (_, diagnostics) = landfall_app::read(draft.text.as_bytes(), "landfall.toml");
        assert!(
            !diagnostics.has_errors(),
            "{}\n{:#?}",
            draft.text,
            diagnostics.list()
        );
    }
}

#[test]
fn the_first_page_stands_in_for_a_health_page() {
    for (files, expected) in [
        (
            &[
                ("requirements.txt", "flask"),
                (
                    "app.py",
                    "app = Flask(__name__)\n\n@app.route('/')\ndef index():\n",
                ),
            ][..],
            "health = \"/\"   # app.py:3",
        ),
        (
            &[
                ("requirements.txt", "fastapi\nuvicorn"),
                ("main.py", "app = FastAPI()\n@app.get(\"/\")\n"),
            ],
            "health = \"/\"   # main.py:2",
        ),
        (
            &[
                ("package.json", r#"{"dependencies": {"express": "5"}}"#),
                (
                    "server.js",
                    "const app = express()\n// app.get('/')\napp.get('/', page)\napp.listen(process.env.PORT)\n",
                ),
            ],
            "health = \"/\"   # server.js:3",
        ),
        // Where a router's pages stand isn't known.
        (
            &[
                ("requirements.txt", "fastapi\nuvicorn"),
                ("main.py", "app = FastAPI()\n@router.get(\"/\")\n"),
            ],
            "# health = \"/health\"",
        ),
    ] {
        let folder = folder(files);
        let draft = draft(folder.path(), "shop");
        resolved(&draft);
        let is_there = draft.text.lines().any(|line| line.starts_with(expected));
        assert!(is_there, "{expected}\n{}", draft.text);
    }
}

#[test]
fn a_script_without_a_port_is_told_to_have_no_address() {
    let folder = folder(&[("server.py", "print('hello')\n")]);
    let draft = draft(folder.path(), "script");
    assert_eq!(draft.found, [("server.py".to_owned(), "Python".to_owned())]);
    assert_eq!(draft.todo.len(), 1, "{:?}", draft.todo);
    assert!(draft.todo[0].contains("port = 8000"), "{:?}", draft.todo);
    assert_eq!(resolved(&draft).services["script"].port, None);
}

#[test]
fn what_a_command_names_gets_a_place_for_its_value() {
    let folder = folder(&[
        ("requirements.txt", ""),
        ("Procfile", "web: bin/web --port $PORT --level $LOG_LEVEL\n"),
        (".env", "LOG_LEVEL=info\nREGION=eu\n"),
    ]);
    let draft = draft(folder.path(), "shop");
    let env = &resolved(&draft).services["shop"].env;
    let names: Vec<_> = env.keys().map(String::as_str).collect();
    assert_eq!(names, ["LOG_LEVEL", "REGION"], "{}", draft.text);
}
