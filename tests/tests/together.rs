//! Rows that race: what must not happen twice at once doesn't.

use landfall_tests::{World, world::program};

#[test]
fn with_one_first_the_others_start_once_the_first_is_ready() {
    let world = World::new();
    // Each says when it starts, and a good while later that it goes on to serve.
    let script = format!(
        "echo started $LANDFALL_REPLICA >> $HOME/starts; sleep 1\n\
         echo serves $LANDFALL_REPLICA >> $HOME/starts; exec {} serve",
        program("fixture").display()
    );
    world.write(
        "landfall.toml",
        &format!(
            "app = \"shop\"\n[service.web]\ncommand = [\"/bin/sh\", \"-c\", '''{script}''']\n\
             port = 3000\nreplicas = 3\nstart = \"one-first\"\n\
             health = {{ ready = \"/health\", interval = \"100ms\" }}\n"
        ),
    );
    world.landfall(&["deploy"]).ok();
    let read = ["run", "web", "--", "sh", "-c", "cat $HOME/starts"];
    let starts = world.landfall(&read).ok().stdout;
    let lines: Vec<&str> = starts.lines().collect();
    assert_eq!(lines[..2], ["started 1", "serves 1"], "{starts}");
    assert_eq!(lines.len(), 6, "{starts}");
    // The others start together.
    assert!(
        lines[2..4].iter().all(|line| line.starts_with("started")),
        "{starts}"
    );
}

#[test]
fn two_deployments_never_migrate_at_once() {
    let world = World::new();
    let migrate = "migrate = \"echo begin >> $HOME/marks; sleep 0.5; echo end >> $HOME/marks\"";
    world.web("one", migrate);
    world.landfall(&["host", "start"]).ok();
    let commands = [(); 3].map(|()| world.spawn(&["deploy"], &[]));
    let codes = commands.map(|command| command.end().code);
    assert!(codes.contains(&0), "{codes:?}");
    assert!(codes.iter().all(|code| [0, 3].contains(code)), "{codes:?}");
    world.web("two", migrate);
    world.landfall(&["deploy"]).ok();
    let read = ["run", "web", "--", "sh", "-c", "cat $HOME/marks"];
    let marks = world.landfall(&read).ok().stdout;
    let lines: Vec<&str> = marks.lines().collect();
    assert!(lines.len() >= 4, "{marks}");
    assert!(
        lines.chunks(2).all(|pair| pair == ["begin", "end"]),
        "{marks}"
    );
}
