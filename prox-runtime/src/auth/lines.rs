//! Files of lines.

/// Reads the lines of a file, each without white space around it. Blank lines and comments, which begin with `#`, are left out.
///
/// # Errors
///
/// What is wrong with each malformed line, behind its number.
pub(super) fn each_line(
    text: &str,
    mut read: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), Vec<String>> {
    let lines = (1..).zip(text.lines().map(str::trim));
    let problems: Vec<String> = lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|(number, line): (u32, _)| {
            let problem = read(line).err()?;
            Some(format!("line {number}: {problem}"))
        })
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}
