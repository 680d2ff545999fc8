import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import ts from 'typescript';

/** A declaration that users of the package see, or a part of one: a member, or a property of a type that it spells out. */
export interface PublicDeclaration {
  /** As in the reference: `Server.listen`, `DialOptions.healthCheck.service`. */
  readonly name: string;
  readonly node: ts.Node;
  /** Its docstring on one line, without asterisks; empty if there is none. */
  readonly docstring: string;
}

/** The modules that are read, by their paths. */
const sources = new Map<string, ts.SourceFile>();

/** A module of the sources, as it is written: types are not resolved, which would take seconds. */
export function sourceOf(path: string): ts.SourceFile {
  let source = sources.get(path);
  if (source === undefined) {
    source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
    sources.set(path, source);
  }
  return source;
}

/** What an entry point exports, and all that is to be seen of it, in the order of its exports. */
export function* publicDeclarations(entry: string): Iterable<PublicDeclaration> {
  for (const name of exportedNames(sourceOf(entry))) {
    const declarations = declarationsOf(entry, name);
    if (declarations.length === 0) throw new Error(`${entry} exports ${name}, which is not found`);
    for (const declaration of declarations) yield* withParts(declaration, name);
  }
}

function* exportedNames(source: ts.SourceFile): Iterable<string> {
  const names = new Set<string>();
  for (const statement of source.statements) {
    if (ts.isExportDeclaration(statement) && statement.exportClause !== undefined) {
      if (!ts.isNamedExports(statement.exportClause)) throw new Error(`${source.fileName}: no names`);
      for (const { name } of statement.exportClause.elements) names.add(name.text);
    } else if (isExported(statement)) {
      for (const { name } of declaredBy(statement)) names.add(name);
    }
  }
  yield* names;
}

interface Declared {
  readonly name: string;
  readonly node: ts.Node;
}

/** The names that a statement declares in its module. */
function declaredBy(statement: ts.Statement): Declared[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map((node) => ({ name: node.name.getText(), node }));
  }
  const { name } = statement as ts.Statement & { readonly name?: ts.Node };
  return name !== undefined && ts.isIdentifier(name) ? [{ name: name.text, node: statement }] : [];
}

function isExported(statement: ts.Statement): boolean {
  return (
    ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false)
  );
}

/** Where a name of a module is declared, which may be behind other modules; overloads are several. */
function declarationsOf(path: string, name: string): ts.Node[] {
  const { statements } = sourceOf(path);
  const own = statements.flatMap((statement) => declaredBy(statement).filter((each) => each.name === name));
  if (own.length > 0) return own.map(({ node }) => node);
  for (const statement of statements) {
    const names =
      ts.isExportDeclaration(statement) && statement.exportClause !== undefined
        ? statement.exportClause
        : ts.isImportDeclaration(statement)
          ? statement.importClause?.namedBindings
          : undefined;
    if (names === undefined || !('elements' in names)) continue;
    const found = (names.elements as ts.NodeArray<ts.ExportSpecifier | ts.ImportSpecifier>).find(
      (element) => element.name.text === name,
    );
    const { moduleSpecifier } = statement as ts.ExportDeclaration | ts.ImportDeclaration;
    if (found === undefined || moduleSpecifier === undefined) continue;
    const from = (moduleSpecifier as ts.StringLiteral).text;
    // A type of Node's has no declaration here.
    if (!from.startsWith('.')) return [found];
    return declarationsOf(moduleAt(path, from), (found.propertyName ?? found.name).text);
  }
  return [];
}

function moduleAt(from: string, specifier: string): string {
  const path = resolve(dirname(from), specifier.replace(/\.js$/, '.ts'));
  if (!existsSync(path)) throw new Error(`${from} imports ${specifier}, which is not found`);
  return path;
}

function* withParts(node: ts.Node, name: string): Iterable<PublicDeclaration> {
  const docstring = docstringOf(node);
  if (docstring.includes('@internal')) return;
  yield { name, node, docstring };
  yield* partsOf(node, name);
}

/** What is inside of a declaration and has a name, but for what only its code has. */
function* partsOf(node: ts.Node, name: string): Iterable<PublicDeclaration> {
  for (const child of childrenOf(node)) {
    if (ts.isBlock(child) || (ts.isExpression(child) && !ts.isIdentifier(child))) continue;
    if (isMember(child)) {
      if (!isHidden(child)) yield* withParts(child, `${name}.${child.name?.getText() ?? 'constructor'}`);
    } else {
      yield* partsOf(child, name);
    }
  }
}

function childrenOf(node: ts.Node): readonly ts.Node[] {
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => void children.push(child));
  return children;
}

function isMember(node: ts.Node): node is ts.ClassElement | ts.TypeElement | ts.EnumMember {
  return ts.isClassElement(node) || ts.isTypeElement(node) || ts.isEnumMember(node);
}

function isHidden(member: ts.ClassElement | ts.TypeElement | ts.EnumMember): boolean {
  if (member.name !== undefined && ts.isPrivateIdentifier(member.name)) return true;
  return (
    ts.canHaveModifiers(member) &&
    (ts.getModifiers(member)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword) ?? false)
  );
}

/** The docstring of a node, on one line. */
function docstringOf(node: ts.Node): string {
  return ts
    .getJSDocCommentsAndTags(node)
    .filter(ts.isJSDoc)
    .map((comment) => comment.getText())
    .join(' ')
    .replaceAll(/\/\*\*|\*\/|\n\s*\*/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
