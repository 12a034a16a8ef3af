//! Each kind of line has its own bound, and a write that ends within a line spoils no other line.

use super::*;

#[test]
fn k7_access_lines_take_no_space_of_others_and_are_counted_apart() {
    let (gate, queue, guard) = Gate::stalled();
    let line = [b"access ".as_slice(), &[b'x'; 1000], b"\n"].concat();
    let mut sent = 0;
    while queue.state().access_lost < 5 {
        queue.put(&line, LineKind::Access);
        sent += 1;
    }
    queue.put(b"error\n", LineKind::Ordinary);
    assert_eq!(queue.state().lost, 0);
    gate.open();
    drop(guard);
    let text = gate.text();
    let of = |beginning: &str| text.lines().filter(|line| line.starts_with(beginning)).count();
    assert_eq!((of("access "), of("error"), of("AccessLost { lines: 5 }"), of("Lost")), (sent - 5, 1, 1, 0));
}

#[test]
fn k7_after_a_write_that_ended_within_a_line_the_next_line_stands_alone() {
    /// Takes so many bytes, then nothing, then everything.
    #[derive(Clone)]
    struct Full(Arc<Mutex<(usize, bool, Vec<u8>)>>);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.lock().unwrap();
            let length = if state.1 { bytes.len() } else { bytes.len().min(state.0) };
            if length == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.0 = state.0.saturating_sub(length);
            state.2.extend_from_slice(&bytes[..length]);
            Ok(length)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (left, expected) in
        [(4, "ordi\nsecurity\n"), (9, "ordinary\nsecurity\n"), (0, "security\n"), (11, "ordinary\nse\nsecurity\n")]
    {
        let out = Full(Arc::new(Mutex::new((left, false, Vec::new()))));
        let mut is_cut = false;
        let batch = b"ordinary\nsecurity\n";
        assert!(write_batch(&mut out.clone(), batch, &mut is_cut).is_err());
        assert!(is_cut == !matches!(left, 0 | 9) && write_batch(&mut out.clone(), batch, &mut is_cut).is_err());
        out.0.lock().unwrap().1 = true;
        write_batch(&mut out.clone(), b"security\n", &mut is_cut).unwrap();
        assert_eq!(String::from_utf8(out.0.lock().unwrap().2.clone()).unwrap(), expected, "{left}");
    }
}
