//! Loads the books from their image at a start: blocks are read and decoded on several threads, then the rows that changed
//! since are read from the database. What does not match is said once, and the rows are read instead.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use cashier_core::books::{ImageBlock, ImageLoader, LoadedImage};
use cashier_core::change::{Change, Counters};
use rusqlite::Connection;

use super::file::ImageFile;
use super::{origin, path_of, sealed};
use crate::ports::{Fault, LoadProgress};
use crate::strand::columns::for_each_row;
use crate::strand::rows::{event, operation, transaction};

/// Readers of blocks beside the thread that adds them: one checks while another waits for the disk.
const READERS: usize = 2;
/// Blocks that wait to be added: some megabytes.
const BLOCKS_WAITING: usize = 16;

/// The books as the database has them, or `None` where there is no image that belongs to it.
pub(in crate::strand) fn load(
    (connection, database): (&Connection, &Path),
    identity: &str,
    counters: Counters,
    progress: &LoadProgress,
) -> Result<Option<LoadedImage>, Fault> {
    let path = path_of(database);
    // It is removed, so that another is made soon instead of once many rows have changed.
    let unused = |reason: &str| {
        let removed = std::fs::remove_file(&path).is_ok();
        tracing::warn!(image = %path.display(), reason, removed, "image of the books was not used");
    };
    let file = match ImageFile::open(&path) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(None),
        Err(reason) => {
            unused(&reason);
            return Ok(None);
        }
    };
    if *file.identity != *identity {
        unused("it is of another database");
        return Ok(None);
    }
    let Some((generation, event)) = sealed(connection, &file.seal)? else {
        unused("the database does not know it: it is older, or of a history that this database has not had");
        return Ok(None);
    };
    if *file.origin != *origin(connection)? {
        unused("another release of the cashier made it, or the tables of the database were made again since");
        return Ok(None);
    }
    let mut image = match read_blocks(&file, progress) {
        Ok(image) => image,
        Err(reason) => {
            // A start that was given up loads nothing else.
            progress.advance(0)?;
            unused(&reason);
            return Ok(None);
        }
    };
    image.set_counters(counters);
    match apply_changed(connection, &mut image, generation, event)? {
        Some(changed) => {
            let transactions = image.books.transactions();
            tracing::info!(transactions, changed, "books were loaded from their image");
            Ok(Some(image))
        }
        None => {
            unused("a row of the database contradicts it");
            Ok(None)
        }
    }
}

/// The rows that were noted since, as the database has them now; `None` where one contradicts the image.
fn apply_changed(
    connection: &Connection,
    image: &mut LoadedImage,
    generation: i64,
    event: i64,
) -> Result<Option<u64>, Fault> {
    let (mut changed, mut agrees) = (0, true);
    for_each_row(connection, transaction::READ_CHANGED, [generation], transaction::TABLE, |columns| {
        changed += 1;
        agrees &= image.apply(&Change::Transaction(Box::new(transaction::read(columns)?)));
        Ok(())
    })?;
    for_each_row(connection, operation::READ_CHANGED, [generation], operation::TABLE, |columns| {
        changed += 1;
        agrees &= image.apply(&Change::Operation(Box::new(operation::read(columns)?)));
        Ok(())
    })?;
    for_each_row(connection, event::READ_KEYS_ABOVE, [event], event::TABLE, |columns| {
        let config = columns.value()?;
        let event_id = columns.str()?;
        image.books.remember_event_key(config, event_id, columns.value()?);
        Ok(())
    })?;
    Ok(agrees.then_some(changed))
}

fn read_blocks(file: &ImageFile, progress: &LoadProgress) -> Result<LoadedImage, String> {
    let next = AtomicUsize::new(0);
    let (sender, blocks) = sync_channel(BLOCKS_WAITING);
    let mut loader = ImageLoader::seeded(&file.identity);
    thread::scope(|scope| {
        let next = &next;
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let sender = sender.clone();
                scope.spawn(move || decode_blocks(file, next, &sender))
            })
            .collect();
        drop(sender);
        let (mut early, mut wanted) = (BTreeMap::new(), 0);
        let mut added = Ok(());
        for (index, block) in blocks {
            early.insert(index, block);
            while added.is_ok()
                && let Some(block) = early.remove(&wanted)
            {
                wanted += 1;
                if let Err(fault) = progress.advance(block.rows()) {
                    added = Err(fault.to_string());
                    break;
                }
                added = loader.add(block).ok_or_else(|| format!("block {} is not of these books", wanted - 1));
            }
            if added.is_err() {
                // No reader begins another block.
                next.store(file.blocks(), Ordering::SeqCst);
                early.clear();
            }
        }
        readers.into_iter().fold(added, |so_far, reader| {
            so_far.and(reader.join().unwrap_or_else(|_| Err("a reader of the image panicked".to_owned())))
        })
    })?;
    loader.finish().ok_or_else(|| "its blocks are not those of whole books".to_owned())
}

fn decode_blocks(file: &ImageFile, next: &AtomicUsize, sender: &SyncSender<(usize, ImageBlock)>) -> Result<(), String> {
    let mut reader = file.reader()?;
    let mut block = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::SeqCst);
        if index >= file.blocks() {
            return Ok(());
        }
        let decoded = reader.read(index, &mut block).and_then(|()| {
            ImageBlock::decode(&block).ok_or_else(|| format!("block {index} holds no rows of this version"))
        });
        match decoded {
            // The receiver ends after the senders.
            Ok(decoded) => drop(sender.send((index, decoded))),
            Err(reason) => {
                next.store(file.blocks(), Ordering::SeqCst);
                return Err(reason);
            }
        }
    }
}
