//! Pages: files served by nginx, as the edge serves them: `404.html`, redirects and headers too.
//!
//! nginx, since what is smaller (BusyBox's httpd) has neither redirects nor headers nor pages of one's own
//! for what isn't there; its `alpine-slim` image is the smallest official one, and runs as anybody's user
//! where its settings are written below /tmp.

use super::{
    Made,
    command::Default,
    health::Asks,
    stage::{self, Last},
    subject::Subject,
    written,
};
use crate::Comment;

const NGINX: &str = "nginx:1.29-alpine-slim";
const PLACE: &str = "/srv";

/// Writes the Dockerfile of a folder of pages.
pub fn write(subject: &Subject<'_>, made: &mut Made) {
    base(made);
    let folder = subject.service.static_files.clone().unwrap_or_default();
    last(subject, made, |subject, made| {
        made.text.copy(&[], &[subject.in_context(&folder)], PLACE);
    });
}

/// Writes the line that names the base.
pub fn base(made: &mut Made) {
    stage::base(made, "NGINX", NGINX, "The server of the pages");
}

/// Writes the last stage; `put` copies the pages to [`PLACE`].
pub fn last(subject: &Subject<'_>, made: &mut Made, put: impl FnOnce(&Subject<'_>, &mut Made)) {
    let (path, from) = subject.beside(&format!("{}.nginx.conf", subject.name));
    let last = Last {
        from: "${NGINX}",
        user: None,
        environment: &[
            ("NGINX_ENVSUBST_OUTPUT_DIR", "/tmp"),
            ("NGINX_ENTRYPOINT_QUIET_LOGS", "1"),
        ],
        asks: Asks::Wget,
        command: Default::Always(
            ["nginx", "-c", "/tmp/nginx.conf", "-g", "daemon off;"]
                .map(str::to_owned)
                .to_vec(),
        ),
    };
    stage::last(subject, made, last, |subject, made| {
        made.text
            .copy(&[], &[from], "/etc/nginx/templates/nginx.conf.template");
        put(subject, made);
    });
    let text = settings(subject, made);
    made.files.push(written(&path, text, Comment::Hash));
}

/// nginx's own settings. `${PORT}` is put in by the image's entrypoint.
fn settings(subject: &Subject<'_>, made: &mut Made) -> String {
    let mut text = String::from(
        "pid /tmp/nginx.pid;
error_log /dev/stderr warn;
worker_processes auto;

events {}

http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /dev/stdout;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    server_tokens off;
    sendfile on;
    gzip on;
    gzip_vary on;
    gzip_types text/css text/javascript application/javascript application/json image/svg+xml;
    # landfall:keep http
    # landfall:end

    server {
        listen ${PORT};
        root /srv;
        index index.html;
        # A redirect names no host: the port in front is another one.
        absolute_redirect off;
        error_page 404 /404.html;
",
    );
    for (name, value) in &subject.service.http.headers {
        match (quoted(name), quoted(value)) {
            (Some(name), Some(value)) => {
                text.push_str(&format!("        add_header {name} {value} always;\n"));
            }
            _ => made.note(
                subject.setting(&format!("http.headers.{name}")),
                "nginx would take its `$` for a variable: it isn't set here",
            ),
        }
    }
    for redirect in &subject.service.redirects {
        let (place, to) = match redirect.from.strip_suffix('*') {
            None => (
                quoted(&redirect.from).map(|from| format!("= {from}")),
                quoted(&redirect.to),
            ),
            Some(from) => {
                let pattern = format!("^{}(?<splat>.*)$", escaped(from));
                let to = quoted(&redirect.to).map(|to| to.replace(":splat", "${splat}"));
                (
                    (!from.contains('$')).then(|| {
                        format!(
                            "~ \"{}\"",
                            pattern.replace('\\', "\\\\").replace('"', "\\\"")
                        )
                    }),
                    to,
                )
            }
        };
        match (place, to) {
            (Some(place), Some(to)) => text.push_str(&format!(
                "        location {place} {{\n            return {} {to};\n        }}\n",
                redirect.status
            )),
            _ => made.note(
                subject.setting("redirects"),
                format!(
                    "the redirect from {} has a `$`, which nginx would take for a variable",
                    redirect.from
                ),
            ),
        }
    }
    text.push_str(
        "        location / {
            try_files $uri $uri/ =404;
        }
        # landfall:keep server
        # landfall:end
    }
}
",
    );
    text
}

/// A text as nginx reads it; none where it would see variables in it.
fn quoted(text: &str) -> Option<String> {
    if text.contains('$') || text.chars().any(char::is_control) {
        return None;
    }
    Some(format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"")
    ))
}

/// A text as a pattern that takes it alone.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
