//! Images that are known: databases and caches, and where they listen.

/// What an image is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// PostgreSQL, which Landfall provides itself; extensions that the image brings.
    Postgres(Vec<&'static str>),
    /// Redis, which Landfall provides itself.
    Redis,
    /// A database, a cache, a queue: its port, and where it keeps its data.
    Store(u16, &'static str),
    /// Anything else.
    Other,
}

/// Stores by the last part of their image's name, with their ports and data folders.
const STORES: &[(&str, u16, &str)] = &[
    ("mysql", 3306, "/var/lib/mysql"),
    ("mysql-server", 3306, "/var/lib/mysql"),
    ("mariadb", 3306, "/var/lib/mysql"),
    ("percona", 3306, "/var/lib/mysql"),
    ("percona-server", 3306, "/var/lib/mysql"),
    ("mongo", 27017, "/data/db"),
    ("mongodb", 27017, "/bitnami/mongodb"),
    ("mongodb-community-server", 27017, "/data/db"),
    ("rabbitmq", 5672, "/var/lib/rabbitmq"),
    ("memcached", 11211, ""),
    ("elasticsearch", 9200, "/usr/share/elasticsearch/data"),
    ("opensearch", 9200, "/usr/share/opensearch/data"),
    ("minio", 9000, "/data"),
    ("nats", 4222, "/data"),
    ("kafka", 9092, "/var/lib/kafka/data"),
    ("cp-kafka", 9092, "/var/lib/kafka/data"),
    ("redpanda", 9092, "/var/lib/redpanda/data"),
    ("zookeeper", 2181, "/data"),
    ("cp-zookeeper", 2181, "/var/lib/zookeeper"),
    ("influxdb", 8086, "/var/lib/influxdb2"),
    ("clickhouse", 8123, "/var/lib/clickhouse"),
    ("clickhouse-server", 8123, "/var/lib/clickhouse"),
    ("cassandra", 9042, "/var/lib/cassandra"),
    ("scylla", 9042, "/var/lib/scylla"),
    ("couchdb", 5984, "/opt/couchdb/data"),
    ("neo4j", 7687, "/data"),
    ("etcd", 2379, "/etcd-data"),
    ("meilisearch", 7700, "/meili_data"),
    ("typesense", 8108, "/data"),
    ("qdrant", 6333, "/qdrant/storage"),
    ("weaviate", 8080, "/var/lib/weaviate"),
    ("chroma", 8000, "/data"),
    ("solr", 8983, "/var/solr"),
    ("valkey", 6379, "/data"),
    ("keydb", 6379, "/data"),
    ("dragonfly", 6379, "/data"),
    ("redis-stack", 6379, "/data"),
    ("redis-stack-server", 6379, "/data"),
    ("postgis", 5432, "/var/lib/postgresql/data"),
    ("timescaledb", 5432, "/var/lib/postgresql/data"),
    ("timescaledb-ha", 5432, "/home/postgres/pgdata/data"),
    ("postgresql", 5432, "/bitnami/postgresql"),
    ("server", 1433, "/var/opt/mssql"),
    ("cockroach", 26257, "/cockroach/cockroach-data"),
    ("tarantool", 3301, "/var/lib/tarantool"),
    ("arangodb", 8529, "/var/lib/arangodb3"),
    ("rethinkdb", 28015, "/data"),
    ("questdb", 9000, "/var/lib/questdb"),
    ("surrealdb", 8000, "/data"),
    ("beanstalkd", 11300, ""),
];

/// The name of an image without its tag and digest, and the tag.
pub(super) fn parts(image: &str) -> (&str, Option<&str>) {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    }
}

/// An image without what Docker Hub's own need not say.
fn short(name: &str) -> &str {
    let name = name
        .strip_prefix("docker.io/")
        .or(name.strip_prefix("index.docker.io/"))
        .or(name.strip_prefix("public.ecr.aws/docker/"))
        .or(name.strip_prefix("mirror.gcr.io/"))
        .unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

/// What an image is.
pub(super) fn known(image: &str) -> Known {
    let (name, _) = parts(image);
    let name = short(name);
    match name {
        "postgres" => return Known::Postgres(Vec::new()),
        "pgvector/pgvector" | "ankane/pgvector" => return Known::Postgres(vec!["pgvector"]),
        "redis" => return Known::Redis,
        "bitnami/redis" | "bitnamilegacy/redis" => {
            return Known::Store(6379, "/bitnami/redis/data");
        }
        _ => {}
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    // `server` alone says nothing but at Microsoft's.
    if last == "server" && !name.starts_with("mcr.microsoft.com/mssql/") {
        return Known::Other;
    }
    let own = name.split('/').count() <= 2
        || name
            .split('/')
            .next()
            .is_some_and(|host| host.contains('.'));
    STORES
        .iter()
        .find(|(store, _, _)| *store == last && own)
        .map_or(Known::Other, |(_, port, data)| Known::Store(*port, data))
}

/// The version that a tag says, and what of it is no version: `15-alpine` is 15 and `alpine`.
pub(super) fn version(tag: &str) -> (Option<&str>, &str) {
    let tag = tag.strip_prefix("pg").unwrap_or(tag);
    let end = tag
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(tag.len());
    let version = tag[..end].trim_end_matches('.');
    let rest = tag[end..].trim_start_matches('-');
    match version {
        "" => (None, if tag == "latest" { "" } else { tag }),
        version => (Some(version), rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_names() {
        for (image, expected) in [
            ("postgres:15-alpine", Known::Postgres(vec![])),
            ("docker.io/library/postgres", Known::Postgres(vec![])),
            ("pgvector/pgvector:pg16", Known::Postgres(vec!["pgvector"])),
            ("redis:7@sha256:00", Known::Redis),
            ("mysql:8", Known::Store(3306, "/var/lib/mysql")),
            ("localhost:5000/acme/mysql", Known::Other),
            ("ghcr.io/acme/web:1", Known::Other),
            ("valkey/valkey:8", Known::Store(6379, "/data")),
            (
                "mcr.microsoft.com/mssql/server:2022-latest",
                Known::Store(1433, "/var/opt/mssql"),
            ),
            ("acme/server", Known::Other),
        ] {
            assert_eq!(known(image), expected, "{image}");
        }
        assert_eq!(parts("localhost:5000/a"), ("localhost:5000/a", None));
        assert_eq!(version("15.4-alpine3.18"), (Some("15.4"), "alpine3.18"));
        assert_eq!(version("latest"), (None, ""));
        assert_eq!(version("pg16"), (Some("16"), ""));
        assert_eq!(version("alpine"), (None, "alpine"));
    }
}
