//! Atoms that cross several transactions: their segments lie under a reserved id until the hash is right.

use ::atom::{ContentHash, Modality};
use pgrx::prelude::*;
use store::RunningHash;

use super::{claim, is_present, missing_among, not_announced, reference, wrong_length};
use crate::atom::{lie, lock_known};
use crate::pg::bulk::SegmentWriter;
use crate::pg::error::{PgResult, code, fault};
use crate::pg::fixed_datum::HashDatum;
use crate::pg::{spi, worker};

/// An atom that is arriving.
struct Arriving {
    atom_id: i64,
    size_bytes: i64,
    received_bytes: i64,
    hash: RunningHash,
}

#[pg_extern(strict)]
fn send_atom_part(import_id: i64, content_hash: HashDatum, start: i64, bytes: &[u8]) -> PgResult<i64> {
    claim(import_id);
    let said = content_hash.0;
    if bytes.len() as u64 > store::BATCH_BYTES_MAX {
        return Err(fault(
            code::LIMIT,
            format!("a part of {} bytes is larger than {}", bytes.len(), store::BATCH_BYTES_MAX),
        ));
    }
    let Some(missing) = missing_among(import_id, &[said]).pop() else {
        return if is_present(import_id, said) { Ok(start + bytes.len() as i64) } else { Err(not_announced(said)) };
    };
    if let Some(&atom_id) = lock_known(&[said]).get(&said) {
        // Somebody else has completed it meanwhile; what was sent here goes.
        give_up(import_id, said);
        reference(import_id, [(said, atom_id)]);
        return Ok(missing.size_bytes);
    }
    let mut arriving = take_up(import_id, said, missing.size_bytes, start)?;
    let end = start + bytes.len() as i64;
    if end > arriving.size_bytes {
        return Err(wrong_length(said, arriving.size_bytes, end));
    }
    let Arriving { atom_id, hash, .. } = &mut arriving;
    worker::beside(|| hash.update(bytes), || write(*atom_id, start, bytes));
    arriving.received_bytes = end;
    if end == arriving.size_bytes {
        complete(import_id, said, &arriving, missing.modality)?;
    } else {
        keep(import_id, said, &arriving);
    }
    Ok(end)
}

fn write(atom_id: i64, start: i64, bytes: &[u8]) {
    let mut writer = SegmentWriter::open();
    writer.write(atom_id, start as u64, bytes);
    writer.finish();
}

/// Finds what has arrived, or begins: at the start, with a new id.
fn take_up(import_id: i64, said: ContentHash, size_bytes: i64, start: i64) -> PgResult<Arriving> {
    const FIND: &str = "SELECT a.atom_id, a.received_bytes, a.hash_state FROM atoms.import_atom a \
        WHERE a.import_id = $1 AND a.content_hash = $2::atoms.content_hash FOR NO KEY UPDATE";
    let hash = said.as_bytes().to_vec();
    if start == 0 {
        give_up(import_id, said);
    }
    let found = spi::rows(FIND, &[import_id.into(), hash.into()], |row| {
        (row.get::<i64>(1), row.get::<i64>(2), row.get::<Vec<u8>>(3))
    });
    match found.into_iter().next() {
        None if start == 0 => {
            let ids = spi::rows("SELECT nextval('atoms.atom_id_seq')", &[], |row| row.get::<i64>(1));
            Ok(Arriving { atom_id: ids[0], size_bytes, received_bytes: 0, hash: RunningHash::new() })
        }
        Some((atom_id, received_bytes, state)) if received_bytes == start => {
            let hash = RunningHash::restore(&state).map_err(|error| {
                fault(code::STATE, format!("atom {said} cannot be continued: {error}"))
                    .set_hint("Send it again from byte 0.")
            })?;
            Ok(Arriving { atom_id, size_bytes, received_bytes, hash })
        }
        other => {
            let received = other.map_or(0, |(_, received, _)| received);
            Err(fault(code::ARGUMENT, format!("atom {said} goes on at byte {received}, not at {start}"))
                .set_hint("missing_atoms says how much was received; 0 begins again."))
        }
    }
}

fn keep(import_id: i64, said: ContentHash, arriving: &Arriving) {
    const KEEP: &str = "INSERT INTO atoms.import_atom (import_id, content_hash, atom_id, size_bytes, received_bytes, hash_state) \
        VALUES ($1, $2::atoms.content_hash, $3, $4, $5, $6) \
        ON CONFLICT (import_id, content_hash) DO UPDATE SET received_bytes = excluded.received_bytes, hash_state = excluded.hash_state";
    let args = [
        import_id.into(),
        said.as_bytes().to_vec().into(),
        arriving.atom_id.into(),
        arriving.size_bytes.into(),
        arriving.received_bytes.into(),
        arriving.hash.save().into(),
    ];
    spi::run(KEEP, &args);
}

/// Deletes what has arrived of an atom; a trigger deletes its segments.
fn give_up(import_id: i64, said: ContentHash) {
    const GIVE_UP: &str =
        "DELETE FROM atoms.import_atom a WHERE a.import_id = $1 AND a.content_hash = $2::atoms.content_hash";
    spi::run(GIVE_UP, &[import_id.into(), said.as_bytes().to_vec().into()]);
}

/// Checks the hash and makes the atom a stored one; the loser of a race takes the winner's.
fn complete(import_id: i64, said: ContentHash, arriving: &Arriving, modality: Modality) -> PgResult<()> {
    const INSERT: &str = "INSERT INTO atoms.atom AS a (atom_id, content_hash, size_bytes, modality) \
        VALUES ($1, $2::atoms.content_hash, $3, $4) ON CONFLICT (content_hash) DO NOTHING RETURNING a.atom_id";
    let is = arriving.hash.clone().finish();
    if is != said {
        return Err(
            lie(said, is).set_hint("Send the atom again from byte 0, or announce the file anew if it has changed.")
        );
    }
    let args =
        [arriving.atom_id.into(), said.as_bytes().to_vec().into(), arriving.size_bytes.into(), modality.name().into()];
    let won = !spi::rows(INSERT, &args, |row| row.get::<i64>(1)).is_empty();
    let atom_id = match won {
        true => arriving.atom_id,
        false => *lock_known(&[said]).get(&said).ok_or_else(|| {
            fault(code::REPEAT, format!("atom {said} was collected meanwhile")).set_hint("Repeat the transaction.")
        })?,
    };
    if !won {
        // The last part of the loser has no row in import_atom yet, so the trigger may not know of its segments.
        spi::run("DELETE FROM atoms.atom_segment s WHERE s.atom_id = $1", &[arriving.atom_id.into()]);
    }
    give_up(import_id, said);
    reference(import_id, [(said, atom_id)]);
    Ok(())
}
