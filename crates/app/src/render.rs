//! Diagnostics as text for people.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Severity},
    source::{Source, Span, boundary},
};

/// So many are printed; a broken file has more than anyone reads.
pub const PRINTED: usize = 100;

/// A longer line is not shown, only named: it is no line that people wrote.
const LONGEST_LINE: usize = 1000;

impl Diagnostics {
    /// The first hundred as text, with the lines that they point at; then how many more there are.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = String::new();
        for diagnostic in self.list().iter().take(PRINTED) {
            text.push_str(&render(&renderer, self.source(), diagnostic));
            text.push('\n');
        }
        if self.list().len() > PRINTED {
            text.push_str(&format!("… and {} more\n", self.list().len() - PRINTED));
        }
        text
    }

    /// `2 errors, 0 warnings`
    pub fn summary(&self) -> String {
        let counted = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        format!(
            "{}, {}",
            counted(self.errors(), "error"),
            counted(self.warnings(), "warning")
        )
    }
}

fn render(renderer: &Renderer, source: &Source, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code);
    let mut group = Group::with_title(title);
    group = place(
        group,
        source,
        &diagnostic.span,
        &diagnostic.label,
        AnnotationKind::Primary,
    );
    if let Some((span, label)) = &diagnostic.related {
        group = place(group, source, span, label, AnnotationKind::Context);
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note));
    }
    renderer.render(&[group])
}

/// Only the line that matters goes to the renderer, which would read the whole text each time.
fn place<'a>(
    group: Group<'a>,
    source: &'a Source,
    span: &Span,
    label: &'a str,
    kind: AnnotationKind,
) -> Group<'a> {
    let number = source.line(span.start);
    let line = source.line_span(number);
    if line.len() > LONGEST_LINE {
        let origin = Origin::path(source.file())
            .line(number)
            .char_column(source.column(span.start));
        return group.element(origin);
    }
    let text = &source.text()[line.clone()];
    let inside = |at: usize| boundary(text, at.clamp(line.start, line.end) - line.start);
    let (start, end) = (inside(span.start), inside(span.end));
    let mut annotation = kind.span(start..end.max(start));
    if !label.is_empty() {
        annotation = annotation.label(label);
    }
    let snippet = Snippet::source(text)
        .path(source.file())
        .line_start(number)
        .annotation(annotation);
    group.element(snippet)
}
