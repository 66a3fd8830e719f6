/** Who serves pools at the moment, as workers said when they last renewed their leases. */
import type { Call } from '../call.ts'

/** `free`: those that have room. */
export interface PoolWorkers {
  pool: string
  workers: number
  free: number
}

/** In the order of `pools`, each named once. */
export async function readPools({ services }: Call, pools: readonly string[]): Promise<PoolWorkers[]> {
  if (pools.length === 0) return []
  return services.database.query<PoolWorkers>(
    `select p.pool, count(w.id)::integer as workers,
       (count(w.id) filter (where coalesce(w.held < w.capacity, true)))::integer as free
     from unnest($1::text[]) with ordinality as p(pool, place)
     left join sluice.workers w on w.expires_at > now() and p.pool = any (w.pools)
     group by p.pool, p.place order by p.place`,
    [pools],
  )
}
