// SPDX-License-Identifier: ISC

/// Single statements for a reader: as they are understood, tables that were written in place in their place again, long
/// ones cut short.
extension ServerConfiguration {
    public func text(of rule: MatchRule) -> String { statement { $0.printRule(rule) } }
    public func text(of listener: ListenStatement) -> String { statement { $0.printListener(listener) } }
    public func text(of action: ActionDefinition) -> String { statement { $0.printAction(action, .all) } }

    private func statement(_ print: (inout Printer) -> Void) -> String {
        var printer = Printer()
        for table in tables where table.isAnonymous { printer.inPlace[table.name] = table.kind }
        print(&printer)
        return String(printer.text.dropLast())
    }
}
