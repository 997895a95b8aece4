//! Containers: what a command in one is executed with.

use serde::{Deserialize, Serialize};

use super::ExecutionEnvironment;

/// A command that somebody wants to execute in a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExecutionRequest {
    /// The service.
    pub service: String,
    /// Whose environment of its processes; that of the one in front by default.
    pub process: Option<String>,
    /// Beside the instances, instead of in one of them.
    pub one_off: bool,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether it is executed on a terminal.
    pub terminal: bool,
}

/// How it is executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Execution {
    /// As a plain process.
    Process(ExecutionEnvironment),
    /// In a container, by the user's own docker program.
    Container(ContainerExecution),
}

/// How a command is executed in a container. Nothing in it is secret: its environment waits in the
/// container, in a file that is removed when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ContainerExecution {
    /// The Engine: `unix://…`.
    pub engine: String,
    /// The arguments of the docker program after that.
    pub arguments: Vec<String>,
}
