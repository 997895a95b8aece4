//! What makes an image large, slow or unsafe, and what mends it. Pure: files, histories and layers are
//! told, and what comes out is findings.

#![forbid(unsafe_code)]
