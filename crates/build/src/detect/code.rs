//! What the code itself says: framework, entry point, health page.

use serde_json::Value;

use super::{At, DetectedCommand, Framework, folder::Folder};

/// What was found in the code of one service.
#[derive(Debug, Default)]
pub struct Code {
    pub framework: Option<Framework>,
    /// Where the framework's application is made.
    pub entry: Option<At>,
    /// The file that shows what it is written in.
    pub seen: Option<String>,
    pub command: Option<DetectedCommand>,
    pub static_files: Option<String>,
    pub migrate: Option<String>,
    pub port: Option<u16>,
    pub todo: Vec<String>,
}

/// Looks into Python code.
pub fn python(folder: &Folder) -> Code {
    let packages: String = ["requirements.txt", "pyproject.toml", "Pipfile", "setup.py"]
        .iter()
        .filter_map(|name| folder.text(name))
        .collect::<String>()
        .to_lowercase();
    let gunicorn = packages.contains("gunicorn");
    let mut code = Code {
        port: Some(8000),
        ..Code::default()
    };
    let alembic = folder.has("alembic.ini");
    code.migrate = alembic.then(|| "alembic upgrade head".to_owned());
    if let Some(text) = folder.text("manage.py")
        && text.contains("DJANGO_SETTINGS_MODULE")
    {
        let module = text
            .split(['"', '\''])
            .find_map(|text| text.strip_suffix(".settings"))
            .unwrap_or("config");
        code.framework = Some(Framework::Django);
        code.migrate = Some("python manage.py migrate --noinput".to_owned());
        code.command = Some(DetectedCommand::Words(match gunicorn {
            true => format!("gunicorn {module}.wsgi --bind 0.0.0.0:$PORT"),
            false => "python manage.py runserver --noreload 0.0.0.0:$PORT".to_owned(),
        }));
        return code;
    }
    for (call, framework) in [
        ("FastAPI(", Framework::FastApi),
        ("Flask(", Framework::Flask),
    ] {
        let Some((file, line, variable)) = application(folder, call) else {
            continue;
        };
        let (folder_option, module) = module(file);
        code.framework = Some(framework);
        code.entry = Some(At {
            file: file.to_owned(),
            line,
            said: framework.to_string(),
        });
        let text = match (framework, variable) {
            (Framework::FastApi, Some(variable)) => {
                format!("uvicorn {module}:{variable} --host 0.0.0.0 --port $PORT")
            }
            (Framework::FastApi, None) => {
                format!("uvicorn {module}:create_app --factory --host 0.0.0.0 --port $PORT")
            }
            (_, Some(variable)) if gunicorn => {
                format!("gunicorn {module}:{variable} --bind 0.0.0.0:$PORT")
            }
            (_, None) if gunicorn => {
                format!("gunicorn '{module}:create_app()' --bind 0.0.0.0:$PORT")
            }
            _ => format!("flask --app {module} run --host 0.0.0.0 --port $PORT"),
        };
        let option = match folder_option {
            Some(folder) if text.starts_with("uvicorn") => format!(" --app-dir {folder}"),
            Some(folder) if text.starts_with("gunicorn") => format!(" --pythonpath {folder}"),
            _ => String::new(),
        };
        code.command = Some(DetectedCommand::Words(text + &option));
        if framework == Framework::FastApi
            && !packages.contains("uvicorn")
            && !packages.contains("fastapi[")
        {
            code.todo
                .push("uvicorn is not among the requirements; the command needs it".to_owned());
        }
        return code;
    }
    code.port = None;
    let main = folder.first(&["main.py", "app.py", "server.py", "run.py", "src/main.py"]);
    code.seen = main
        .or_else(|| folder.first(&crate::python::FILES))
        .or_else(|| folder.sources(&["py"]).next())
        .map(str::to_owned);
    code.command = main
        .map(|main| DetectedCommand::Words(format!("python {main}")))
        .or_else(|| {
            let package = folder.files.iter().find_map(|file| {
                file.strip_suffix("/__main__.py")
                    .filter(|name| !name.contains('/'))
            });
            package.map(|package| DetectedCommand::Words(format!("python -m {package}")))
        });
    if main
        .and_then(|main| folder.text(main))
        .is_some_and(|text| text.contains("PORT"))
    {
        code.port = Some(8000);
    }
    code
}

/// The file, line and variable where a framework's application is made.
fn application<'a>(folder: &'a Folder, call: &str) -> Option<(&'a str, usize, Option<String>)> {
    let mut found = None;
    for file in folder.sources(&["py"]) {
        let Some(text) = folder.text(file) else {
            continue;
        };
        for (index, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with('#'))
        {
            let Some((before, _)) = line.split_once(call) else {
                continue;
            };
            let Some(variable) = before.trim_end().strip_suffix('=') else {
                continue;
            };
            let variable = variable.split(':').next().unwrap_or_default().trim();
            if !variable.is_empty()
                && variable
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                let at_top = !line.starts_with([' ', '\t']);
                if at_top {
                    return Some((file, index + 1, Some(variable.to_owned())));
                }
                if text.contains("def create_app(") {
                    found = found.or(Some((file, index + 1, None)));
                }
            }
        }
    }
    found
}

/// A file as a module, and the folder it is found from where that isn't the root.
fn module(file: &str) -> (Option<&'static str>, String) {
    let path = file.strip_suffix(".py").unwrap_or(file);
    let path = path.strip_suffix("/__init__").unwrap_or(path);
    match path.strip_prefix("src/") {
        Some(path) => (Some("src"), path.replace('/', ".")),
        None => (None, path.replace('/', ".")),
    }
}

/// Looks into a Node package.
pub fn node(folder: &Folder) -> Code {
    let package = folder
        .text("package.json")
        .and_then(|text| serde_json::from_str::<Value>(&text).ok())
        .unwrap_or_default();
    let uses = |name: &str| {
        package["dependencies"][name].is_string() || package["devDependencies"][name].is_string()
    };
    let script = |name: &str| package["scripts"][name].as_str();
    let mut code = Code {
        seen: Some("package.json".to_owned()),
        port: Some(3000),
        ..Code::default()
    };
    if uses("next") {
        code.framework = Some(Framework::Next);
        code.command = Some(DetectedCommand::Words("next start --port $PORT".to_owned()));
        return code;
    }
    if uses("vite") || uses("react-scripts") || uses("astro") {
        code.framework = Some(if uses("vite") {
            Framework::Vite
        } else {
            Framework::StaticSite
        });
        code.static_files = Some(
            if uses("react-scripts") {
                "build"
            } else {
                "dist"
            }
            .to_owned(),
        );
        code.port = None;
        if script("build").is_none() {
            code.todo.push(
                "package.json has no script `build`; without one nothing makes the static files"
                    .to_owned(),
            );
        }
        return code;
    }
    code.framework = uses("express").then_some(Framework::Express);
    let main = package["main"].as_str().filter(|main| folder.has(main));
    let main = main.or_else(|| {
        folder.first(&[
            "server.js",
            "index.js",
            "app.js",
            "src/index.js",
            "src/server.js",
            "main.js",
        ])
    });
    code.command = match script("start") {
        // Signals reach the program itself, not npm.
        Some(start) if start.starts_with("node ") => Some(DetectedCommand::line(start)),
        Some(_) => Some(DetectedCommand::Words("npm start".to_owned())),
        None => main.map(|main| DetectedCommand::Words(format!("node {main}"))),
    };
    let endings = ["js", "mjs", "cjs", "ts"];
    let reads_port = folder
        .sources(&endings)
        .filter_map(|file| folder.text(file))
        .any(|text| text.contains("env.PORT"));
    if !reads_port {
        match code.framework {
            Some(_) => code
                .todo
                .push("the code doesn't read process.env.PORT; it must listen there".to_owned()),
            None => code.port = None,
        }
    }
    if let Some(main) = main.filter(|_| code.framework.is_some()) {
        let line = folder
            .text(main)
            .and_then(|text| text.lines().position(|line| line.contains("express()")));
        code.entry = line.map(|line| At {
            file: main.to_owned(),
            line: line + 1,
            said: "Express".to_owned(),
        });
    }
    code
}

/// The application's first page, for want of one that says how it is. Only where the application
/// itself is made: of a router's pages nobody knows here where they stand.
pub fn first_page(folder: &Folder, entry: &At) -> Option<At> {
    let text = folder.text(&entry.file)?;
    let is_first = |line: &str| {
        let line = line.trim_start();
        let lower = line.to_lowercase();
        let comment = line.starts_with('#') || line.starts_with("//");
        let below = ["router", "blueprint", "bp."]
            .iter()
            .any(|word| lower.contains(word));
        let get = !lower.contains("methods") || lower.contains("get");
        let route = ["get", "route"].iter().any(|call| {
            ['"', '\'', '`']
                .iter()
                .any(|quote| line.contains(&format!(".{call}({quote}/{quote}")))
        });
        let calls = [
            "requests.",
            "httpx.",
            "client.",
            "session.",
            "axios",
            "http.",
        ]
        .iter()
        .any(|word| lower.contains(word));
        route && get && !comment && !below && !calls
    };
    let line = text.lines().position(is_first)?;
    Some(At {
        file: entry.file.clone(),
        line: line + 1,
        said: "/".to_owned(),
    })
}

/// The page that says how the application is.
pub fn health(folder: &Folder) -> Option<At> {
    const PAGES: [&str; 8] = [
        "/health",
        "/healthz",
        "/api/health",
        "/health/",
        "/healthcheck",
        "/livez",
        "/ready",
        "/ping",
    ];
    let mut best: Option<(usize, At)> = None;
    for file in folder.sources(&["py", "js", "mjs", "cjs", "ts", "go", "rs", "rb", "java"]) {
        let Some(text) = folder.text(file) else {
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            // A route is defined there, not called.
            let defines = [
                "get(",
                "route(",
                "path(",
                "handle",
                "@app.",
                "@router.",
                "all(",
                "add_url_rule(",
            ];
            let calls = [
                "requests.",
                "httpx",
                "fetch(",
                "axios",
                "client.get",
                "session.get",
                "urlopen",
                "http.get(",
            ];
            if !defines.iter().any(|word| lower.contains(word))
                || calls.iter().any(|word| lower.contains(word))
            {
                continue;
            }
            for (rank, page) in PAGES.iter().enumerate() {
                let quoted = ['"', '\'', '`']
                    .iter()
                    .any(|quote| line.contains(&format!("{quote}{page}{quote}")));
                // Django's paths have no slash at the beginning.
                let bare = line.contains(&format!("path(\"{}\"", &page[1..]))
                    || line.contains(&format!("path('{}'", &page[1..]));
                if (quoted || bare) && best.as_ref().is_none_or(|(known, _)| rank < *known) {
                    best = Some((
                        rank,
                        At {
                            file: file.to_owned(),
                            line: index + 1,
                            said: (*page).to_owned(),
                        },
                    ));
                }
            }
        }
    }
    best.map(|(_, at)| at)
}
