//! What isn't taken over in the clear, and what refers to other services.

use landfall_import::RemarkKind;

use super::{one, said, value, web, with};

#[test]
fn secrets_in_plain_text_are_named_and_not_taken_over() {
    let imported = web(
        "environment:\n  GH_TOKEN: ghp_0123456789abcdef\n  API_KEY: ${API_KEY:-hunter22}\n  OTHER_TOKEN: ${OTHER_TOKEN}\n  AMQP: amqp://me:pass1234@far.example.com/\n  KEY_PATH_TOKEN: /run/token\n  USE_PASSWORD: 'true'",
    );
    assert!(
        !imported.text.contains("ghp_")
            && !imported.text.contains("hunter22")
            && !imported.text.contains("pass1234"),
        "{}",
        imported.text
    );
    assert_eq!(
        value(&imported, "service/web/secrets"),
        "[\"AMQP\", \"API_KEY\", \"GH_TOKEN\", \"OTHER_TOKEN\"]"
    );
    assert_eq!(value(&imported, "service/web/env/USE_PASSWORD"), "\"true\"");
    let remark = imported
        .remarks
        .iter()
        .find(|remark| remark.key == "services.web.environment.GH_TOKEN")
        .unwrap();
    assert_eq!((remark.kind, remark.line), (RemarkKind::PlainSecret, 6));
    assert!(
        remark.said.contains("GH_TOKEN: ${GH_TOKEN}"),
        "the mended form: {}",
        remark.said
    );
    assert!(
        imported
            .remarks
            .iter()
            .all(|remark| !remark.said.contains("ghp_")
                && !remark.said.contains("hunter22")
                && !remark.said.contains("pass1234"))
    );
    assert_eq!(imported.secrets, ["AMQP", "API_KEY", "GH_TOKEN"]);
}

#[test]
fn secrets_in_files_of_variables_are_named_and_not_taken_over() {
    let compose = "services:\n  web:\n    image: x:1\n    env_file: app.env\n    environment: [\"GH_TOKEN=${GH_TOKEN}\", \"URL=https://x/${GH_TOKEN}\"]\n";
    let imported = with(&[
        ("compose.yaml", compose),
        (".env", "GH_TOKEN=abcdef123\n"),
        ("app.env", "DB_PASSWORD=qwertz99\nMODE=x\n"),
    ]);
    assert!(!imported.text.contains("abcdef123") && !imported.text.contains("qwertz99"));
    assert_eq!(
        value(&imported, "service/web/env/URL"),
        "\"https://x/${secret.GH_TOKEN}\""
    );
    assert_eq!(value(&imported, "service/web/env/MODE"), "\"x\"");
    assert_eq!(imported.secrets, ["DB_PASSWORD", "GH_TOKEN"]);
}

#[test]
fn one_name_with_two_values_becomes_two_secrets() {
    let imported = one(
        "services:\n  a: {image: \"x:1\", environment: {API_KEY: one11}}\n  b: {image: \"x:1\", environment: {API_KEY: two22}}\n",
    );
    assert_eq!(value(&imported, "service/a/secrets"), "[\"API_KEY\"]");
    assert_eq!(value(&imported, "service/b/secrets"), "[\"B_API_KEY\"]");
    assert_eq!(
        value(&imported, "service/b/env/API_KEY"),
        "\"${secret.B_API_KEY}\""
    );
}

#[test]
fn compose_secrets_and_configs_become_secrets_and_files() {
    let compose = "services:\n  web:\n    image: x:1\n    secrets: [db_password, {source: api, target: /key}]\n    configs: [{source: conf, target: /etc/x.conf}, inline]\n    environment: {DB_PASSWORD_FILE: /run/secrets/db_password}\nsecrets:\n  db_password: {file: ./p.txt}\n  api: {environment: API}\nconfigs:\n  conf: {file: ./x.conf}\n  inline: {content: abc}\n";
    let imported = one(compose);
    assert_eq!(
        value(&imported, "service/web/secrets"),
        "[\"DB_PASSWORD\", \"API\"]"
    );
    assert_eq!(
        value(&imported, "service/web/files"),
        "{ \"/etc/x.conf\" = \"x.conf\" }"
    );
    assert_eq!(value(&imported, "service/web/env"), "-");
    assert!(
        said(&imported, RemarkKind::Changed, "services.web.secrets")
            .contains("not as the file /key")
    );
    said(&imported, RemarkKind::Lost, "services.web.configs");
}

#[test]
fn what_a_host_refuses_of_a_redis_is_no_setting_and_its_maxmemory_is_memory() {
    let imported = one(
        "services:\n  web: {image: \"x:1\", depends_on: [cache, large]}\n  cache: {image: \"redis:7\", command: redis-server --maxmemory 96mb --logfile /x --appendonly yes}\n  large: {image: \"redis:7\", command: redis-server --maxmemory 96mb, mem_limit: 1g}\n",
    );
    assert_eq!(
        value(&imported, "backing/cache"),
        "{ memory = \"128MiB\", kind = \"redis\", version = \"7\", settings = { appendonly = \"yes\" } }"
    );
    assert_eq!(
        value(&imported, "backing/large"),
        "{ memory = \"1GiB\", kind = \"redis\", version = \"7\" }"
    );
}

#[test]
fn databases_become_backing_services_and_their_addresses_references() {
    let imported = one(
        "services:\n  web:\n    image: x:1\n    depends_on: [db, cache, queue]\n    environment:\n      DATABASE_URL: postgres://u:p@db:5432/shop\n      ASYNC_URL: postgresql+asyncpg://u:pw12@db/shop?ssl=disable\n      PGHOST: db\n      PGUSER: u\n      PGPASSWORD: pw12\n      PGDATABASE: shop\n      PGPORT: 5432\n      REDIS_URL: redis://cache:6379/0\n      CELERY: redis://cache:6379/2\n      AMQP: amqp://queue:5672\n  db:\n    image: postgres:15-alpine\n    environment: {POSTGRES_USER: u, POSTGRES_PASSWORD: pw12, POSTGRES_DB: shop}\n    command: postgres -c max_connections=200 -c port=5433\n    volumes: [pg:/var/lib/postgresql/data]\n  cache:\n    image: redis:7\n    command: [redis-server, --save, '60 1', --maxmemory-policy, allkeys-lru]\n  queue:\n    image: rabbitmq:3\n    environment: {RABBITMQ_DEFAULT_PASS: guest123}\n    volumes: [mq:/var/lib/rabbitmq]\nvolumes: {pg: , mq: }\n",
    );
    assert_eq!(
        value(&imported, "service/web/uses"),
        "[\"db\", \"cache\", \"queue\"]"
    );
    for (name, expected) in [
        (
            "ASYNC_URL",
            "postgresql+asyncpg://${backing.db.user}:${backing.db.password}@${backing.db.host}:${backing.db.port}/${backing.db.name}?ssl=disable",
        ),
        ("PGHOST", "${backing.db.host}"),
        ("PGUSER", "${backing.db.user}"),
        ("PGPASSWORD", "${backing.db.password}"),
        ("PGDATABASE", "${backing.db.name}"),
        ("PGPORT", "${backing.db.port}"),
        (
            "CELERY",
            "redis://${backing.cache.user}:${backing.cache.password}@${backing.cache.host}:${backing.cache.port}/2",
        ),
        ("AMQP", "amqp://queue:5672"),
    ] {
        assert_eq!(
            value(&imported, &format!("service/web/env/{name}")),
            format!("\"{expected}\""),
            "{name}"
        );
    }
    assert_eq!(
        value(&imported, "backing/db"),
        "{ kind = \"postgres\", version = \"15\", settings = { max_connections = \"200\" } }"
    );
    assert_eq!(value(&imported, "backing/cache/save"), "[\"60 1\"]");
    assert_eq!(
        value(&imported, "backing/queue/data"),
        "\"/var/lib/rabbitmq\""
    );
    assert_eq!(
        value(&imported, "backing/queue/env/RABBITMQ_DEFAULT_PASS"),
        "\"${secret.RABBITMQ_DEFAULT_PASS}\""
    );
    assert!(!imported.text.contains("pw12") && !imported.text.contains("guest123"));
}

#[test]
fn other_services_are_reached_by_references() {
    let imported = one(
        "services:\n  web:\n    image: x:1\n    environment: {API_URL: \"http://api:8000/v1\", API_HOST: api, MODE: api, SELF: \"http://localhost:80\"}\n  api: {image: \"x:1\"}\n",
    );
    assert_eq!(value(&imported, "service/api/port"), "8000");
    assert_eq!(
        value(&imported, "service/web/env/API_URL"),
        "\"${service.api.url}/v1\""
    );
    assert_eq!(
        value(&imported, "service/web/env/API_HOST"),
        "\"${service.api.host}\""
    );
    assert_eq!(value(&imported, "service/web/env/MODE"), "\"api\"");
    assert_eq!(
        value(&imported, "service/web/env/SELF"),
        "\"http://localhost:80\""
    );
}
