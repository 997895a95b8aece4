//! What the parts of config/deploy.yml become.

use std::collections::BTreeMap;

use super::import;
use crate::{Imported, Input, Refusal, RemarkKind};

fn read(text: &str) -> Result<Imported, Refusal> {
    let source = BTreeMap::from([("config/deploy.yml".to_owned(), text.as_bytes().to_vec())]);
    import(&Input {
        files: &["config/deploy.yml".to_owned()],
        source: &source,
        variables: &BTreeMap::new(),
        profiles: &[],
        name: "folder",
    })
}

#[test]
fn roles_are_services_and_accessories_backing_services() {
    let imported = read(
        "service: shop\nimage: acme/shop\nservers:\n  web:\n    - 203.0.113.7\n  jobs:\n    hosts:\n      - 203.0.113.7\n    cmd: bin/jobs\n    options:\n      memory: 512m\n      cpus: 1\n\
proxy:\n  ssl: true\n  host: shop.example.com\n  app_port: 3000\n  healthcheck:\n    path: /up\n    interval: 3\n\
registry:\n  server: ghcr.io\n  username: acme\n  password:\n    - GHCR_TOKEN\n\
builder:\n  arch: amd64\n  args:\n    RUBY: 3.3\n\
env:\n  clear:\n    DB_HOST: shop-db\n    SOLID: true\n    TOKEN: hunter2\n  secret:\n    - RAILS_MASTER_KEY\n    - A:B\n\
volumes:\n  - storage:/rails/storage\n\
accessories:\n  db:\n    image: postgres:16.2\n    host: 203.0.113.7\n    port: 127.0.0.1:5432:5432\n    env:\n      clear:\n        POSTGRES_USER: shop\n      secret:\n        - POSTGRES_PASSWORD\n    files:\n      - db/init.sql:/docker-entrypoint-initdb.d/setup.sql\n    directories:\n      - data:/var/lib/postgresql/data\n  search:\n    image: getmeili/meilisearch:v1\n    port: 7700\n    env:\n      secret:\n        - MEILI_MASTER_KEY\n    volumes:\n      - meili:/meili_data\n\
aliases:\n  console: app exec -i bin/rails console\nssh:\n  user: deploy\nasset_path: /x\n",
    )
    .unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    # From config/deploy.yml. `landfall check` reads it, `landfall config` shows it with every default.
    app = "shop"

    [service.web]
    build   = { dockerfile = "Dockerfile", args = { RUBY = "3.3" } }
    push    = "ghcr.io/acme/shop"
    port    = 3000
    domains = ["shop.example.com"]
    health  = { ready = "/up", interval = "3s" }
    uses    = { db = "DATABASE_URL", search = "SEARCH_URL" }
    env     = { DB_HOST = "shop-db", SOLID = "true", A = "${secret.B}" }
    secrets = ["TOKEN", "RAILS_MASTER_KEY", "B"]
    volumes = { storage = "/rails/storage" }

    [service.jobs]
    build   = { same-as = "web" }
    command = "bin/jobs"
    memory  = "512MiB"
    cpu     = 1.0
    uses    = { db = "DATABASE_URL", search = "SEARCH_URL" }
    env     = { DB_HOST = "shop-db", SOLID = "true", A = "${secret.B}" }
    secrets = ["TOKEN", "RAILS_MASTER_KEY", "B"]
    volumes = { storage = "/rails/storage" }

    [backing.db]
    kind    = "postgres"
    version = "16.2"
    init    = ["db/init.sql"]

    [backing.search]
    image = "getmeili/meilisearch:v1"
    port  = 7700
    env   = { MEILI_MASTER_KEY = "${secret.MEILI_MASTER_KEY}" }
    data  = "/meili_data"

    [registry]
    "ghcr.io" = { username = "acme", password = "${secret.GHCR_TOKEN}" }

    [environment.production]
    target = "ssh://deploy@203.0.113.7"
    "#);
    assert_eq!(imported.secrets, ["TOKEN"]);
    let lost: Vec<_> = imported
        .remarks
        .iter()
        .filter(|remark| remark.kind == RemarkKind::Lost)
        .map(|remark| remark.key.as_str())
        .collect();
    assert_eq!(lost, ["proxy.ssl", "asset_path"]);
}

#[test]
fn several_servers_become_one_and_that_is_said() {
    let imported = read("service: My_App\nimage: a/b\nservers:\n  - 192.0.2.1\n  - 192.0.2.2: tagged\nenv:\n  A: 1\n").unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    # From config/deploy.yml. `landfall check` reads it, `landfall config` shows it with every default.
    app = "my-app"

    [service.my-app]
    build  = "Dockerfile"
    push   = "a/b"
    port   = 80     # where Kamal's proxy asks by default
    health = "/up"  # where Kamal's proxy asks by default
    env    = { A = "1" }

    [environment.production]
    target = "ssh://root@192.0.2.1"
    "#);
    assert!(
        imported
            .remarks
            .iter()
            .any(|remark| remark.said.contains("2 servers")),
        "{:?}",
        imported.remarks
    );
}

#[test]
fn ruby_is_never_executed() {
    let imported = read("<% require \"dotenv\" %>\nservice: shop\nimage: <%= ENV[\"IMAGE\"] %>\nservers:\n  - <%= ENV['HOST'] %>\n# <%= a comment %>\nenv:\n  clear:\n    A: <%= `id` %>\n    B: c\n").unwrap();
    insta::assert_snapshot!(imported.text, @r#"
    # From config/deploy.yml. `landfall check` reads it, `landfall config` shows it with every default.
    app = "shop"

    [service.shop]
    # TODO: A is computed by Ruby in config/deploy.yml: give it a value here
    build  = "Dockerfile"
    port   = 80     # where Kamal's proxy asks by default
    health = "/up"  # where Kamal's proxy asks by default
    env    = { B = "c" }
    "#);
    let lines: Vec<_> = imported
        .remarks
        .iter()
        .filter(|remark| remark.key == "<% %>")
        .map(|remark| remark.line)
        .collect();
    assert_eq!(lines, [1, 3, 5, 9]);
}

#[test]
fn what_is_about_kamals_way_to_deploy_is_lost_to_nobody() {
    let imported = read("service: shop\nimage: acme/shop\nservers:\n  - 203.0.113.7\nssh:\n  user: deploy\n  port: 2222\n  log_level: debug\nboot:\n  limit: 25%\n  wait: 2\nbuilder:\n  arch: amd64\n  remote: ssh://root@203.0.113.8\naccessories:\n  db:\n    image: postgres:16\n    host: 203.0.113.7\n    env:\n      clear:\n        POSTGRES_USER: shop\n      secret:\n        - POSTGRES_PASSWORD\n").unwrap();
    assert!(imported.clean(), "{:?}", imported.remarks);
    assert!(
        imported
            .text
            .contains("target = \"ssh://deploy@203.0.113.7:2222\""),
        "{}",
        imported.text
    );
    let said: Vec<_> = imported
        .remarks
        .iter()
        .map(|remark| remark.key.as_str())
        .collect();
    for expected in [
        "ssh.log_level",
        "boot",
        "builder.remote",
        "accessories.db.env",
    ] {
        assert!(said.contains(&expected), "{expected}: {said:?}");
    }
}

#[test]
fn what_leads_to_a_server_by_another_and_what_an_image_is_told_is_said() {
    let imported = read("service: shop\nimage: acme/shop\nservers:\n  - 203.0.113.7\nssh:\n  user: <%= ENV[\"USER\"] %>\n  proxy: jump.example.com\naccessories:\n  db:\n    image: postgres:16\n    host: 203.0.113.7\n    env:\n      clear:\n        POSTGRES_INITDB_ARGS: --locale=C\n").unwrap();
    let said: Vec<_> = imported
        .remarks
        .iter()
        .map(|remark| (remark.kind, remark.key.as_str()))
        .collect();
    assert!(said.contains(&(RemarkKind::Lost, "ssh.proxy")), "{said:?}");
    assert!(
        said.contains(&(RemarkKind::Changed, "accessories.db.env")),
        "{said:?}"
    );
    assert!(
        imported
            .text
            .contains("target = \"ssh://root@203.0.113.7\""),
        "{}",
        imported.text
    );
}

#[test]
fn what_is_none_of_kamals_is_refused() {
    for (text, line) in [
        ("", 0),
        ("- a\n", 1),
        ("a: b\n", 1),
        ("service: x\nb: [y\n", 2),
    ] {
        let refusal = read(text).unwrap_err();
        assert_eq!(refusal.name, "bad-import", "{text}");
        assert!(refusal.line >= line.min(1), "{text}: {}", refusal.line);
    }
}
