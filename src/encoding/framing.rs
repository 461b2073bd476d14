//! Confluent's wire format: a zero, the schema's id in four bytes, the payload
//! (<https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>).

/// The byte that begins every value of a schema registry's serializer.
const MAGIC: u8 = 0;

/// A value out of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FramedValue<'a> {
    /// The schema's id in the registry.
    pub(crate) id: u32,
    /// The bytes after the id.
    pub(crate) payload: &'a [u8],
}

/// Takes bytes out of their frame; `None` when they are in none. No text and no JSON begins with a zero.
pub(crate) fn unframe(bytes: &[u8]) -> Option<FramedValue<'_>> {
    let (id, payload) = bytes.strip_prefix(&[MAGIC])?.split_first_chunk::<4>()?;
    Some(FramedValue { id: u32::from_be_bytes(*id), payload })
}

/// The message's place in its schema, which comes before a payload of Protobuf: an index for each level, the outermost first.
pub(super) fn message_indexes(payload: &[u8]) -> Option<(Vec<usize>, &[u8])> {
    let (count, mut rest) = zigzag(payload)?;
    if count == 0 {
        // The usual case is written short.
        return Some((vec![0], rest));
    }
    // Each index takes a byte at least.
    let count = usize::try_from(count).ok().filter(|count| *count <= rest.len())?;
    let mut indexes = Vec::with_capacity(count);
    for _ in 0..count {
        let (index, after) = zigzag(rest)?;
        indexes.push(usize::try_from(index).ok()?);
        rest = after;
    }
    Some((indexes, rest))
}

/// A signed integer of variable length, as Avro and Confluent's indexes have it.
pub(super) fn zigzag(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let signed = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
            return Some((signed, bytes.get(at + 1..).unwrap_or_default()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serializers_write_is_taken_apart() {
        assert_eq!(unframe(&[0, 0, 0, 1, 2, 9]), Some(FramedValue { id: 258, payload: &[9] }));
        assert_eq!(unframe(b"{\"a\":1}"), None);
        assert_eq!(unframe(&[0, 0, 0, 1]), None);
        for (bytes, indexes) in [
            (vec![0], vec![0]),
            (vec![2, 2], vec![1]),
            (vec![4, 4, 0], vec![2, 0]),
            (vec![6, 4, 2, 0], vec![2, 1, 0]),
        ] {
            assert_eq!(message_indexes(&bytes), Some((indexes, &[][..])), "{bytes:?}");
        }
        for broken in [&[][..], &[2], &[1], &[0x80; 11], &[0xfe, 0xff, 0xff, 0x7f, 0]] {
            assert_eq!(message_indexes(broken), None, "{broken:?}");
        }
        assert_eq!(zigzag(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).unwrap().0, i64::MIN);
    }
}
