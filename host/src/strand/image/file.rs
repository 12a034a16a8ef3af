//! The file of an image: blocks one after another, and at the end a table of their lengths and checksums, which a checksum
//! covers too. A file that was cut, changed or put together from two is not whole. It does not know what is in a block.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use cashier_core::books::IMAGE_FORMAT;
use sha2::{Digest, Sha256};

use crate::ports::Fault;
use crate::private_files;

const MAGIC: &[u8; 16] = b"cashier books\0\0\0";
/// Of the table: a file whose end says more is damaged. 2^32 rows have fewer blocks.
const TABLE_BYTES_MAX: u64 = 1 << 30;
/// One block: 256 rows, each with texts of at most some kilobytes.
const BLOCK_BYTES_MAX: u32 = 1 << 28;

type Checksum = [u8; 32];

/// An image that is being written under a name of its own, which is removed if it is given up.
pub struct ImageDraft {
    file: BufWriter<File>,
    path: PathBuf,
    is_placed: bool,
    table: Vec<(u32, Checksum)>,
    identity: Box<str>,
    seal: Box<str>,
}

/// A draft that is whole and on the disk.
pub(super) struct WholeDraft(ImageDraft);

/// Removes drafts that a killed process left.
pub(super) fn remove_drafts(image: &Path) -> Result<(), Fault> {
    let folder = image.parent().unwrap_or(Path::new("."));
    let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for entry in std::fs::read_dir(folder).map_err(failed("listing", folder))?.flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.starts_with(".draft-") && file.ends_with(&name) {
            std::fs::remove_file(entry.path()).map_err(failed("removing", &entry.path()))?;
        }
    }
    Ok(())
}

impl ImageDraft {
    /// Removes drafts that a killed process left, and begins one.
    pub(super) fn create(image: &Path, identity: &str, seal: &str) -> Result<Self, Fault> {
        remove_drafts(image)?;
        let folder = image.parent().unwrap_or(Path::new("."));
        let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = folder.join(format!(".draft-{seal}-{name}"));
        let file = BufWriter::with_capacity(1 << 20, private_files::open(&path)?);
        let (identity, seal) = (identity.into(), seal.into());
        Ok(Self { file, path, is_placed: false, table: Vec::new(), identity, seal })
    }

    pub fn write(&mut self, block: &[u8]) -> Result<(), Fault> {
        let length = u32::try_from(block.len()).ok().filter(|length| *length <= BLOCK_BYTES_MAX);
        let length = length.ok_or_else(|| Fault::new("a block of the image is too long"))?;
        self.table.push((length, checksum(self.table.len(), block)));
        self.file.write_all(block).map_err(failed("writing", &self.path))
    }

    /// Writes the table and syncs the file. `origin` is what made the image, and of which tables.
    pub(super) fn finish(mut self, origin: &str) -> Result<WholeDraft, Fault> {
        let mut table = Vec::new();
        table.extend_from_slice(MAGIC);
        table.extend_from_slice(&IMAGE_FORMAT.to_le_bytes());
        for text in [&*self.identity, &self.seal, origin] {
            table.extend_from_slice(&(text.len() as u32).to_le_bytes());
            table.extend_from_slice(text.as_bytes());
        }
        for (length, checksum) in &self.table {
            table.extend_from_slice(&length.to_le_bytes());
            table.extend_from_slice(checksum);
        }
        table.extend_from_slice(&<Checksum>::from(Sha256::digest(&table)));
        let length = table.len() as u64;
        let written = self.file.write_all(&table).and_then(|()| self.file.write_all(&length.to_le_bytes()));
        let synced = written.and_then(|()| self.file.flush()).and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(failed("writing", &self.path))?;
        Ok(WholeDraft(self))
    }
}

impl WholeDraft {
    pub(super) fn rename_to(mut self, image: &Path) -> Result<(), Fault> {
        std::fs::rename(&self.0.path, image).map_err(failed("renaming", &self.0.path))?;
        self.0.is_placed = true;
        let folder = image.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("syncing", folder))
    }
}

impl Drop for ImageDraft {
    fn drop(&mut self) {
        if !self.is_placed {
            // The next draft removes it otherwise.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// An image whose table is whole; its blocks are checked when they are read.
pub(super) struct ImageFile {
    path: PathBuf,
    pub(super) identity: Box<str>,
    pub(super) seal: Box<str>,
    pub(super) origin: Box<str>,
    /// Place, length and checksum of each block.
    blocks: Vec<(u64, u32, Checksum)>,
}

/// Reads blocks of an image, on a thread of its own.
pub(super) struct BlockReader<'i> {
    image: &'i ImageFile,
    file: File,
}

impl ImageFile {
    /// `None` where there is no file; the text says why a file is none of ours or not whole.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, String> {
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
            Ok(known) if !known.is_file() => return Err("it is not a file".to_owned()),
            Ok(_) => {}
        }
        read_table(path).map(Some)
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn reader(&self) -> Result<BlockReader<'_>, String> {
        let file = private_files::open_to_read(&self.path).map_err(|error| error.to_string())?;
        Ok(BlockReader { image: self, file })
    }
}

impl BlockReader<'_> {
    pub(super) fn read(&mut self, index: usize, block: &mut Vec<u8>) -> Result<(), String> {
        let (place, length, expected) = self.image.blocks.get(index).ok_or("a block is missing")?;
        block.resize(*length as usize, 0);
        let read = self.file.seek(SeekFrom::Start(*place)).and_then(|_| self.file.read_exact(block));
        read.map_err(|error| error.to_string())?;
        if checksum(index, block) == *expected { Ok(()) } else { Err(format!("block {index} is damaged")) }
    }
}

fn read_table(path: &Path) -> Result<ImageFile, String> {
    let cut = || "its end is missing".to_owned();
    let io = |error: std::io::Error| error.to_string();
    let mut file = private_files::open_to_read(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let length_place = size.checked_sub(8).ok_or_else(cut)?;
    let mut length = [0; 8];
    file.seek(SeekFrom::Start(length_place)).and_then(|_| file.read_exact(&mut length)).map_err(io)?;
    let length = u64::from_le_bytes(length);
    let place = length_place.checked_sub(length).filter(|_| length <= TABLE_BYTES_MAX).ok_or_else(cut)?;
    let mut table = vec![0; usize::try_from(length).map_err(|_| cut())?];
    file.seek(SeekFrom::Start(place)).and_then(|_| file.read_exact(&mut table)).map_err(io)?;
    let (content, expected) = table.split_last_chunk::<32>().ok_or_else(cut)?;
    if <Checksum>::from(Sha256::digest(content)) != *expected {
        return Err("the table at its end is damaged".to_owned());
    }
    let mut parsed = TableReader { rest: content };
    let (magic, format) = (parsed.take(MAGIC.len()), parsed.number());
    if magic != Some(MAGIC) || format != Some(IMAGE_FORMAT) {
        return Err("it is of another version of the cashier".to_owned());
    }
    let mut text = || parsed.text().ok_or_else(cut);
    let (identity, seal, origin) = (text()?, text()?, text()?);
    let (mut blocks, mut next) = (Vec::new(), 0_u64);
    while !parsed.rest.is_empty() {
        let length = parsed.number().filter(|length| *length <= BLOCK_BYTES_MAX).ok_or_else(cut)?;
        let checksum = parsed.take(32).and_then(|bytes| bytes.try_into().ok()).ok_or_else(cut)?;
        blocks.push((next, length, checksum));
        next = next.saturating_add(length.into());
    }
    if next != place {
        return Err("it is longer or shorter than its table says".to_owned());
    }
    Ok(ImageFile { path: path.to_owned(), identity, seal, origin, blocks })
}

struct TableReader<'t> {
    rest: &'t [u8],
}

impl<'t> TableReader<'t> {
    fn take(&mut self, length: usize) -> Option<&'t [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<Box<str>> {
        let length = self.number()?;
        Some(std::str::from_utf8(self.take(length as usize)?).ok()?.into())
    }
}

/// Over a block and its place among the others.
fn checksum(index: usize, block: &[u8]) -> Checksum {
    let mut hash = Sha256::new();
    hash.update((index as u64).to_le_bytes());
    hash.update(block);
    hash.finalize().into()
}

fn failed<'p>(doing: &'p str, path: &'p Path) -> impl Fn(std::io::Error) -> Fault + 'p {
    move |error| Fault::new(format!("{doing} {}: {error}", path.display()))
}
