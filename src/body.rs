//! The body of an answer over HTTP. It is read in pieces, because reqwest reads a whole one however long it is.

use reqwest::Response;

/// All bytes of the body of `answer`, unpacked. `None` when they are more than `most`; the rest is not waited for.
///
/// # Errors
/// Those of the connection.
pub async fn read(mut answer: Response, most: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let length = answer.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    if length > most {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(length);
    while let Some(piece) = answer.chunk().await? {
        if bytes.len() + piece.len() > most {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes))
}
