//! The file: its own sections, and the letters that mean something in it.

use std::fmt::Write as _;

use landfall_app::{
    Name,
    model::{GiveUp, ProcessKind, Service},
};

use super::{Place, in_order, last, note, program};
use crate::{Comment, Note, keep};

/// The whole file.
pub(super) fn write(
    name: &Name,
    service: &Service,
    place: &Place,
    notes: &mut Vec<Note>,
) -> String {
    let conf = last(&place.conf);
    let ends = service
        .processes
        .iter()
        .any(|one| matches!(one.kind, ProcessKind::Ends(_)));
    let waits = service.processes.iter().any(|one| !one.after.is_empty());
    let mut files = vec![conf];
    files.extend(waits.then(|| last(&place.after)));
    files.extend(ends.then(|| last(&place.start)));
    let command = match ends {
        true => format!("CMD [\"./{}\", \"{conf}\"]", last(&place.start)),
        false => format!("CMD [\"supervisord\", \"--configuration\", \"{conf}\"]"),
    };
    let mut text = format!(
        "; The processes of {name} in one container. Its image needs supervisor (pip install supervisor==4.3.0),\n\
         ; and at its end:\n\
         ;   COPY {} ./\n\
         ;   {command}\n\
         ; The variables and secrets of the service come from the container's environment.\n",
        files.join(" ")
    );
    text.push_str(
        "[supervisord]\n\
         nodaemon=true\n\
         ; Its own log goes to standard output; a file would fill the container's disk.\n\
         logfile=/dev/null\n\
         logfile_maxbytes=0\n\
         pidfile=/tmp/supervisord.pid\n",
    );
    if let Some(port) = service.port {
        let _ = writeln!(text, "environment=PORT=\"{port}\"");
    }
    text.push_str(
        "\n; What `supervisorctl status` asks, also as a health check: it ends with 0 while all of them run.\n\
         [unix_http_server]\n\
         file=/tmp/supervisor.sock\n\
         chmod=0700\n\n\
         [rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n\
         [supervisorctl]\n\
         serverurl=unix:///tmp/supervisor.sock\n",
    );
    let staying = in_order(service).filter(|one| matches!(one.kind, ProcessKind::Stays(_)));
    for (at, process) in staying.enumerate() {
        text.push('\n');
        text.push_str(&program::write(name, service, process, at, place, notes));
    }
    if service.restart.give_up == GiveUp::Exit {
        text.push_str(
            "\n; supervisord goes on, and ends with 0, when everything in it has failed for good: this ends it.\n\
             [eventlistener:give-up]\n\
             command=sh -c 'echo READY; read -r event; kill -TERM \"$PPID\"'\n\
             events=PROCESS_STATE_FATAL\n\
             stderr_logfile=/dev/stderr\n\
             stderr_logfile_maxbytes=0\n",
        );
        note(
            notes,
            format!("service.{name}.restart.give-up"),
            "supervisord ends with 0 when a process has failed for good: let the container's restart policy be `unless-stopped`",
        );
    }
    text.push('\n');
    text.push_str(&keep("programs", 0, Comment::Semicolon));
    text
}

/// A value of quoted words as it stands in the file, or what is in it that can't.
///
/// `%` begins an expansion. A `;` or `#` behind white space begins a comment, quotes or not: an empty pair of
/// quotes between the two keeps them apart. `quote` is the one that surrounds the words.
pub(super) fn escaped(value: &str, quote: char) -> Result<String, &'static str> {
    let mut text = String::with_capacity(value.len());
    let mut space = false;
    for character in value.chars() {
        match character {
            '\n' | '\r' => return Err("a line end"),
            '\0' => return Err("a NUL byte"),
            '%' => text.push('%'),
            ';' | '#' if space => text.extend([quote, quote]),
            _ => {}
        }
        text.push(character);
        // What Python takes for white space.
        space = character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character);
    }
    Ok(text)
}
