//! The examples that run as containers, each as a stranger meets it: one command, then a browser.

#![cfg(feature = "engine")]

use landfall_tests::{
    Answer, Browser, Load, World, engine, get, request, wait,
    world::{copy, example},
};
use serde_json::{Value, json};

/// A world with an example in it: under a name of its own, published on ports of its own.
fn world_with(name: &str, published: &[u16], secret: &str) -> (World, Vec<String>) {
    let world = World::new();
    copy(&example(name), &world.app());
    let mut file = world.read("landfall.toml");
    let mut addresses = Vec::new();
    for (port, own) in published.iter().zip((0..=world.ports().1).rev()) {
        let line = format!("publish = {port}");
        assert!(file.contains(&line), "{name} publishes {port}");
        file = file.replace(&line, &format!("publish = {own}"));
        addresses.push(format!("http://127.0.0.1:{own}"));
    }
    let lines: Vec<String> = file
        .lines()
        .map(|line| match line.split('=').next().map(str::trim) {
            Some("app") => format!("app = \"{}\"", engine::unique(name)),
            _ => line.to_owned(),
        })
        .collect();
    world.write("landfall.toml", &lines.join("\n"));
    world.write(".env", secret);
    (world, addresses)
}

const TOKEN: &str = "good-token-that-nobody-may-see";
const BOT_TOKEN: &str = "4242:token-that-nobody-may-see";

fn spec_editor() -> (World, Vec<String>) {
    world_with("spec-editor", &[5000, 8080], &format!("GH_TOKEN={TOKEN}\n"))
}

fn marketplace() -> (World, Vec<String>) {
    world_with(
        "marketplace",
        &[8000, 8081],
        &format!("BOT_TOKEN={BOT_TOKEN}\n"),
    )
}

#[track_caller]
fn fetch(url: &str) -> Answer {
    get(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

#[track_caller]
fn post(url: &str, body: &Value) -> Answer {
    let headers = [("Content-Type", "application/json")];
    request("POST", url, &headers, &body.to_string())
        .unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Says something to the bot as Telegram delivers it, and gives what it replied.
#[track_caller]
fn say(telegram: &str, chat: u32, text: &str) -> String {
    let message = json!({ "chat": chat, "name": format!("Person {chat}"), "text": text });
    let answer = post(&format!("{telegram}/stand-in/say"), &message);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["reply"]
        .as_str()
        .unwrap_or_else(|| panic!("no reply to {text}: {answer:?}"))
        .to_owned()
}

/// Asks the replica that it is executed in, until it answers that the database can't be used: by more
/// requests at once than it has connections (10, and 10 beyond), as those that hang hold one each.
const ASK_IN_VAIN: &str = r#"
import os, threading, urllib.error, urllib.request
refused = threading.Event()
def ask():
    try:
        urllib.request.urlopen("http://127.0.0.1:8000/offers")
    except urllib.error.HTTPError as error:
        if error.code == 503:
            refused.set()
for _ in range(25):
    threading.Thread(target=ask, daemon=True).start()
os._exit(0 if refused.wait(30) else 1)
"#;

/// Changes the code, so that the next deployment builds another image.
fn change(world: &World, file: &str, text: &str) {
    let before = world.read(file);
    world.write(file, &format!("{before}\n{text}\n"));
}

/// What the Engine would tell anyone who may ask it, and what lies in the logs.
fn all_that_is_told(world: &World) -> String {
    let names = engine::containers(&world.home());
    assert!(
        !names.is_empty(),
        "containers of this host are found by their label"
    );
    let mut told = String::new();
    for name in &names {
        told += &engine::docker(&["inspect", name]);
        told += &engine::docker(&["logs", name]);
    }
    told + &world.landfall(&["logs"]).ok().all()
}

fn opens_no_port(world: &World) {
    for name in engine::containers(&world.home()) {
        let ports = engine::docker(&["port", &name]);
        assert_eq!(ports, "", "the Engine publishes a port of {name}");
    }
}

#[test]
fn the_spec_editor_works_after_one_command() {
    let (world, at) = spec_editor();
    world.landfall(&["deploy"]).ok();
    assert_eq!(world.status()["condition"], "healthy");

    // Before the switch the stand-in couldn't be reached yet.
    wait("GitHub is reached", || {
        let health = fetch(&format!("{}/health", at[0]));
        (health.json()["github"]["state"] == "ok").then_some(())
    });
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let filled = "customer=acme&environment=dev&instance_type=t4g.nano&waf_enabled=true";
    let sent = request("POST", &format!("{}/specs/pod", at[0]), &form, filled).unwrap();
    assert_eq!(sent.status, 303, "{sent:?}");
    let started = fetch(&format!("{}/stand-in/dispatches", world.url("github"))).json();
    assert_eq!(started[0]["workflow"], "deploy-pod.yml", "{started}");
    assert_eq!(started[0]["inputs"]["customer"], "acme", "{started}");

    // Someone else's image beside it.
    let echo = fetch(&format!("{}/hello?a=1", at[1])).json();
    assert_eq!(
        (&echo["path"], &echo["query"]["a"]),
        (&json!("/hello"), &json!("1"))
    );

    opens_no_port(&world);
    assert!(
        !all_that_is_told(&world).contains(TOKEN),
        "the token is told"
    );
}

#[test]
fn the_spec_editor_says_what_is_wrong_with_github() {
    let (world, at) = spec_editor();
    world.landfall(&["deploy"]).ok();
    let health = format!("{}/health", at[0]);
    post(
        &format!("{}/stand-in/limit", world.url("github")),
        &json!({ "remaining": 0 }),
    );
    wait("the rate limit is said", || {
        let answer = fetch(&health);
        // The page stays there and explains it.
        assert_eq!(answer.status, 200, "{answer:?}");
        (answer.json()["github"]["state"] == "rate-limit").then_some(())
    });

    // A token that isn't accepted doesn't go live, and what served goes on.
    world.write(".env", "GH_TOKEN=stolen\n");
    world.landfall(&["deploy"]).exits(1);
    assert_eq!((world.live(), fetch(&health).status), (1, 200));
}

#[test]
fn the_marketplace_keeps_what_was_sold_through_deployments_under_load() {
    let (world, at) = marketplace();
    world.landfall(&["deploy"]).ok();
    let (web, telegram) = (&at[0], &at[1]);
    assert_eq!(fetch(&format!("{web}/health")).json()["status"], "ok");
    assert_eq!(
        say(telegram, 1, "/sell Old bicycle 45.50"),
        "Offered as number 1: Old bicycle for 45.50."
    );

    let load = Load::start(&format!("{web}/offers"), 8);
    change(&world, "app/bot.py", "# another release");
    world.landfall(&["deploy"]).ok();
    assert_eq!(world.live(), 2);
    assert!(say(telegram, 2, "/list").contains("Old bicycle"));
    world.landfall(&["rollback"]).ok();
    assert!(say(telegram, 2, "/buy 1").starts_with("You have bought Old bicycle"));
    let seen = load.end();
    assert_eq!(seen["failed"], 0, "{seen}");

    // The database is the same one all along, and was never started anew.
    let databases: Vec<String> = engine::containers(&world.home())
        .into_iter()
        .filter(|name| name.contains(".postgres."))
        .collect();
    assert_eq!(databases.len(), 1, "{databases:?}");
    opens_no_port(&world);
    let told = all_that_is_told(&world);
    assert!(!told.contains(BOT_TOKEN), "the bot's token is told");
}

#[test]
fn the_marketplace_waits_for_its_database_and_is_not_restarted() {
    let (world, at) = marketplace();
    world.landfall(&["deploy"]).ok();
    let (web, telegram) = (&at[0], &at[1]);
    say(telegram, 1, "/sell Reading lamp 12");
    let processes = |service: &str| -> Vec<(String, u32)> {
        let mut found = world.processes();
        found.retain(|(name, _)| name == service);
        found.sort();
        found
    };
    let before = processes("backend");
    assert_eq!(before.len(), 2, "{before:?}");

    let database = engine::containers(&world.home())
        .into_iter()
        .find(|name| name.contains(".postgres."))
        .expect("the database is a container");
    // One that hangs: nobody is sent to the replicas, which stay.
    let health = |wanted: u16| {
        wait(&format!("/health answers {wanted}"), || {
            (fetch(&format!("{web}/health")).status == wanted).then_some(())
        });
    };
    engine::docker(&["pause", &database]);
    health(503);
    // The edge sends nobody there any more; whoever asks a replica itself is told why.
    world
        .landfall(&["exec", "backend", "--", "python", "-c", ASK_IN_VAIN])
        .ok();
    wait("the log has why", || {
        let ran = world.landfall(&["logs", "backend", "--grep", "can't be used"]);
        (ran.code == 0 && ran.stdout.contains("Traceback")).then(|| ran.says(&["\"exception\""]))
    });
    engine::docker(&["unpause", &database]);
    health(200);

    // One that is killed comes back by itself. Told meanwhile is answered then: Telegram delivers again.
    engine::docker(&["kill", &database]);
    assert!(say(telegram, 1, "/sell Garden chair 8").ends_with("Garden chair for 8.00."));
    health(200);
    let offers = fetch(&format!("{web}/offers")).json();
    let titles: Vec<&str> = offers
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|offer| offer["title"].as_str())
        .collect();
    assert_eq!(titles, ["Garden chair", "Reading lamp"]);
    assert_eq!(processes("backend"), before, "nothing was restarted");
}

#[test]
fn the_marketplace_takes_turns_well_when_many_want_the_same() {
    let (world, at) = marketplace();
    world.landfall(&["deploy"]).ok();
    let telegram = at[1].clone();
    say(&telegram, 1, "/sell Only one 5");
    let replies: Vec<String> = (2..102)
        .map(|chat| {
            let telegram = telegram.clone();
            std::thread::spawn(move || say(&telegram, chat, "/buy 1"))
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|person| person.join().expect("each of them is answered"))
        .collect();
    let bought = replies
        .iter()
        .filter(|reply| reply.starts_with("You have bought"))
        .count();
    let late = replies
        .iter()
        .filter(|reply| reply.contains("is sold already"))
        .count();
    assert_eq!((bought, late), (1, 99));
}

#[test]
fn a_browser_fills_in_the_spec_editors_form() {
    let (world, at) = spec_editor();
    world.landfall(&["deploy"]).ok();
    let mut browser = Browser::start(world.folder());
    browser.open(&at[0], "Customer pod");
    browser.photograph("spec-editor");
    browser.open(&format!("{}/specs/pod", at[0]), "Firewall for web traffic");
    browser.fill("customer", "acme");
    browser.fill("demo_message", "Good day");
    browser.photograph("spec-editor-form");
    browser.press_button();
    browser.shows("GitHub has taken the request");
    browser.shows("#1");
    browser.photograph("spec-editor-runs");
    let started = fetch(&format!("{}/stand-in/dispatches", world.url("github"))).json();
    assert_eq!(
        started[0]["inputs"]["demo_message"], "Good day",
        "{started}"
    );
}

#[test]
fn a_browser_talks_to_the_marketplaces_bot() {
    let (world, at) = marketplace();
    world.landfall(&["deploy"]).ok();
    let mut browser = Browser::start(world.folder());
    browser.open(&at[1], "Chat with the bot");
    for (words, reply) in [
        ("/start", "Welcome, Ann!"),
        ("/sell Old bicycle 45.50", "Offered as number 1"),
        ("/list", "1: Old bicycle, 45.50"),
    ] {
        browser.fill("text", words);
        browser.press_button();
        browser.shows(reply);
    }
    browser.photograph("marketplace-chat");
    browser.open(&at[0], "Old bicycle");
    browser.shows("1 for sale, 0 sold");
    browser.photograph("marketplace");
}
