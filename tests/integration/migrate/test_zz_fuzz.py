import random, os
from tests.integration.migrate.test_expressions_agree import Pair, ROWS, sqlite3, psycopg
from tests.integration.migrate.test_expressions_agree import both
from dbopsd.migrate.importer.planning.expressions import NotTranslatable
COLS=['n','n','s','flag','r','small','r','p','s','s2','nocase','rt','flag','d','ts','ts2','tz','epoch','tm','b','j','code','u']
PATS=["'a%'","'%B%'","'*b*'","'[0-9]*'","'_'"]
FM=["'%Y'","'%m-%d'","'%s'","'%H:%M'","'%w'","'%j'"]
def lit(g):
    return g.choice(['0','1','2','5','-7','1.5','0.1','10','4326',"'abc'","'ABC'","''","'5'","'12'","'x'","'1'","'0.1'","'2024-01-31'","'2024-02-29'","'2024-01-31 10:20:30'","'10:20:30'","NULL","x'01'",'TRUE',"'WKT'","1e10","'a%'","'%b_'"])
def expr(g,d):
    if d<=0: return g.choice(COLS) if g.random()<.65 else lit(g)
    k=g.randrange(26)
    e=lambda: expr(g,d-1)
    if k<6: return f"{e()} {g.choice(['=','<>','<','<=','>','>=','IS','IS NOT','==','!='])} {e()}"
    if k<9: return f"({e()}) {g.choice(['+','-','*','/','%','||','&','|'])} ({e()})"
    if k==9: return f"{e()} {g.choice(['AND','OR'])} {e()}"
    if k==10: return f"NOT {e()}"
    if k==11: return f"({e()}) IN ({e()}, {lit(g)}, {lit(g)})"
    if k==12: return f"({e()}) BETWEEN {lit(g)} AND {lit(g)}"
    if k==13: return f"{g.choice(['length','lower','upper','abs','trim','round','typeof','hex','unicode','date','datetime','time','julianday'])}({e()})"
    if k==14: return f"coalesce({e()}, {e()})"
    if k==15: return f"CASE WHEN {e()} THEN {e()} ELSE {e()} END"
    if k==16: return f"({e()}) {g.choice(['LIKE','NOT LIKE','GLOB'])} {g.choice(PATS)}"
    if k==17: return f"substr({e()}, {g.choice(['1','2','-1','0','-3'])}{g.choice(['',', 1',', 2'])})"
    if k==18: return f"CAST({e()} AS {g.choice(['TEXT','INTEGER','REAL','NUMERIC','BLOB'])})"
    if k==19: return f"nullif({e()}, {e()})"
    if k==20: return f"{g.choice(['max','min'])}({e()}, {e()})"
    if k==21: return f"({e()}) IS {g.choice(['','NOT '])}{g.choice(['NULL','TRUE','FALSE'])}"
    if k==22: return f"instr({e()}, {e()})"
    if k==23: return f"({e()}) COLLATE {g.choice(['NOCASE','BINARY','RTRIM'])}"
    if k==24: return f"strftime({g.choice(FM)}, {e()})"
    return f"replace({e()}, {e()}, {lit(g)})"
def test_fuzz(both):
    g=random.Random(int(os.environ.get('SEED','1')))
    N=int(os.environ.get('N','3000')); ok=ref=0; bad=[]; boom=[]
    from collections import Counter
    reasons=Counter()
    for i in range(N):
        q=expr(g,g.choice([1,1,2,2,3])); q=g.choice([q,f'({q}) IS NULL',f'({q}) = ({expr(g,1)})',f'({q}) > ({lit(g)})',f'({q}) IN ({lit(g)}, {lit(g)})',f'({q}) = {lit(g)}'])
        try: expected=dict(both.sqlite.execute(f"SELECT id, CASE WHEN ({q}) THEN 1 WHEN NOT ({q}) THEN 0 END FROM t"))
        except sqlite3.Error: continue
        try: tr=both.translator.condition(q)
        except NotTranslatable as x: ref+=1; reasons[x.problem[:60]]+=1; continue
        except Exception as x: boom.append((q,repr(x))); continue
        try:
            with both.postgres.transaction(force_rollback=True):
                found={k:None if v is None else int(v) for k,v in both.postgres.execute(f"SELECT id, {tr} FROM t")}
        except psycopg.Error as x: boom.append((q,tr,str(x)[:100])); continue
        ok+=1
        if found!=expected: bad.append((q,tr,{k:(found[k],expected[k]) for k in found if found[k]!=expected[k]}))
    print('OK',ok,'REF',ref,'BAD',len(bad),'BOOM',len(boom))
    for x in sorted(bad,key=lambda x:len(x[0]))[:12]: print('BAD',x)
    for x in sorted(boom,key=lambda x:len(x[0]))[:12]: print('BOOM',x)
    print(reasons.most_common(15))
