//! Answers of the API server that are no failure where they are expected.

/// Whether the object does not exist.
pub fn is_absent(error: &kube::Error) -> bool {
    is_status(error, 404)
}

/// Whether the object exists already, or is no longer as it was read.
pub fn is_conflict(error: &kube::Error) -> bool {
    is_status(error, 409)
}

/// Whether the API server refused what was asked, as a quota or an admission rule does: asking again is of no use.
pub fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 403 | 422))
}

fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}
