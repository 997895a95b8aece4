//! The labels that say whose a container, network, volume or image is.

/// The state folder of the host whose it is: several hosts on one Engine never touch each other's.
pub const HOME: &str = "landfall.home";
/// The app.
pub const APP: &str = "landfall.app";
/// The environment.
pub const ENVIRONMENT: &str = "landfall.environment";
/// The service, or the backing service.
pub const SERVICE: &str = "landfall.service";
/// The release's number.
pub const RELEASE: &str = "landfall.release";
/// The instance's id.
pub const INSTANCE: &str = "landfall.instance";
/// On an image: the artifact that it is.
pub const ARTIFACT: &str = "landfall.artifact";
