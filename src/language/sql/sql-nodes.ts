/** The parts of PostgreSQL's syntax tree that SQL in a flow may have: whatever is not in this table is refused. */

/**
 * Of a field: a plain value; nodes, each wrapped in its type (one or a list); or the type of the one node that stands there unwrapped.
 */
export type Field = 'value' | 'nodes' | 'SelectStmt' | 'WithClause' | 'WindowDef' | 'TypeName' | 'Alias'

const part = (fields: string): Record<string, Field> =>
  Object.fromEntries(
    `location:value ${fields}`
      .split(/\s+/)
      .map((field) => field.split(':') as [string, Field])
      .map(([name, kind]) => [name, kind ?? 'nodes']),
  )

/** Fields without a kind hold nodes. */
export const NODES: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  SelectStmt: part(`distinctClause targetList fromClause whereClause groupClause havingClause windowClause valuesLists sortClause
    limitOffset limitCount withClause:WithClause larg:SelectStmt rarg:SelectStmt limitOption:value op:value all:value groupDistinct:value`),
  WithClause: part('ctes recursive:value'),
  CommonTableExpr: part('ctename:value aliascolnames ctematerialized:value ctequery'),
  ResTarget: part('name:value val'),
  RangeVar: part('schemaname:value relname:value inh:value relpersistence:value alias:Alias'),
  RangeSubselect: part('lateral:value subquery alias:Alias'),
  JoinExpr: part('jointype:value isNatural:value larg rarg usingClause quals alias:Alias join_using_alias:Alias'),
  Alias: part('aliasname:value colnames'),
  ColumnRef: part('fields'),
  A_Star: part(''),
  String: part('sval:value'),
  Integer: part('ival:value'),
  ParamRef: part('number:value'),
  A_Const: part('isnull:value boolval:value'),
  A_Expr: part('kind:value name lexpr rexpr rexpr_list_start:value rexpr_list_end:value'),
  BoolExpr: part('boolop:value args'),
  NullTest: part('arg nulltesttype:value argisrow:value'),
  BooleanTest: part('arg booltesttype:value'),
  CaseExpr: part('arg args defresult'),
  CaseWhen: part('expr result'),
  CoalesceExpr: part('args'),
  MinMaxExpr: part('op:value args'),
  SubLink: part('subLinkType:value testexpr operName subselect'),
  RowExpr: part('args row_format:value'),
  A_ArrayExpr: part('elements list_start:value list_end:value'),
  A_Indirection: part('arg indirection'),
  A_Indices: part('is_slice:value lidx uidx'),
  List: part('items'),
  TypeCast: part('arg typeName:TypeName'),
  TypeName: part('names typemod:value arrayBounds'),
  FuncCall: part(`funcname args agg_order agg_filter over:WindowDef agg_within_group:value agg_star:value agg_distinct:value
    funcformat:value`),
  WindowDef: part('name:value refname:value partitionClause orderClause frameOptions:value startOffset endOffset'),
  SortBy: part('node sortby_dir:value sortby_nulls:value'),
}

/** What a refused node or field is called, where its own name would not tell. */
export const REFUSED: Readonly<Record<string, string>> = {
  intoClause: 'SELECT INTO, which writes a table',
  lockingClause: 'FOR UPDATE or FOR SHARE, which locks rows',
  RangeFunction: 'a function in FROM',
  RangeTableSample: 'TABLESAMPLE',
  SQLValueFunction: 'a value of the session or of the clock (CURRENT_DATE, CURRENT_USER ...)',
  CollateClause: 'COLLATE',
  GroupingSet: 'GROUPING SETS, ROLLUP or CUBE',
  catalogname: 'a table of another database',
  typmods: 'a type with a size or precision',
  setof: 'SETOF',
  pct_type: '%TYPE',
  search_clause: 'SEARCH',
  cycle_clause: 'CYCLE',
  useOp: 'ORDER BY ... USING',
  indirection: 'a field of a value',
  func_variadic: 'VARIADIC',
  NamedArgExpr: 'a named argument',
  SetToDefault: 'DEFAULT',
}

export const HINTS: Readonly<Record<string, string>> = {
  RangeFunction: 'call it in the SELECT list of a subquery',
  SQLValueFunction: 'pass it as a parameter, such as ${{ execution.startedAt }}',
}
